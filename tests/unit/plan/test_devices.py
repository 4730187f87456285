"""Which device a plan is made for."""

from __future__ import annotations

from typing import Any

import pytest
from trainwright.errors import BadInput
from trainwright.plan import cluster_machine
from trainwright.plan.devices import GPUS, gpu_named
from trainwright.plan.machines import quantity

from tests.unit.plan.planning import spec


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("NVIDIA-A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA-A100-80GB-PCIe", "A100-80GB"),
        ("NVIDIA-A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA-A100-PCIE-40GB", "A100-40GB"),
        ("NVIDIA-H100-80GB-HBM3", "H100"),
        ("NVIDIA-H100-80GB-HBM3-SHARED", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA-L4", "L4"),
        ("NVIDIA-L40S", "L40S"),
        ("NVIDIA-A10G", "A10G"),
        ("NVIDIA-A10", "A10"),
        ("a100-80gb", "A100-80GB"),
    ],
)
def test_a_node_s_product_label_names_the_device(label: str, name: str) -> None:
    device = gpu_named(label)
    assert device is not None
    assert device.name == name


def test_a_slice_of_a_gpu_is_not_taken_for_the_whole() -> None:
    assert gpu_named("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb") is None


def test_no_label_names_two_devices() -> None:
    names = [gpu.name for gpu in GPUS]
    assert len(names) == len(set(names))
    assert all(gpu_named(name).name == name for name in names)  # type: ignore[union-attr]


def cluster(**settings: Any) -> Any:
    return spec(cluster={"nodes": 4, "gpusPerNode": 8, **settings})


def test_the_node_selector_says_which_gpu() -> None:
    machine = cluster_machine(cluster(nodeSelector={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}))
    assert machine.name == "the cluster: 4 × 8 H100"
    assert machine.devices == 32
    assert not [note for note in machine.notes if "assumed: nodeSelector" in note]


def test_without_a_label_an_a100_is_assumed_and_said() -> None:
    machine = cluster_machine(cluster())
    assert machine.device.name == "A100-80GB"
    assert any(
        note.startswith("A100-80GB is assumed: nodeSelector has no nvidia.com/gpu.product") for note in machine.notes
    )


def test_the_command_line_wins_over_the_node_selector() -> None:
    machine = cluster_machine(cluster(nodeSelector={"nvidia.com/gpu.product": "NVIDIA-L4"}), gpu="H200", price=1.5)
    assert machine.device.name == "H200"
    assert (machine.price_per_device_hour, machine.price_basis) == (1.5, "--price")


def test_an_unknown_gpu_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="--gpu B9000") as caught:
        cluster_machine(cluster(), gpu="B9000")
    assert "A100-80GB" in caught.value.hint


def test_the_pods_of_prepare_share_its_rows() -> None:
    machine = cluster_machine(cluster(stages={"prepare": {"shards": 16, "resources": {"cpu": "7500m"}}}))
    assert (machine.machines, machine.cores["prepare"]) == (16, 16 * 7.5)


def test_cores_that_are_not_set_are_assumed_and_said() -> None:
    machine = cluster_machine(cluster(stages={"tokenize": {"shards": 2}, "index": {"resources": {"cpu": 8}}}))
    assert (machine.cores["tokenize"], machine.cores["index"]) == (8, 8)
    assert any("assumed for each pod of ingest, prepare, tokenize:" in note for note in machine.notes)


@pytest.mark.parametrize(("text", "number"), [(8, 8), ("500m", 0.5), ("64Gi", 64 * 2**30), ("1.5T", 1.5e12)])
def test_quantities_are_read_as_kubernetes_reads_them(text: int | str, number: float) -> None:
    assert quantity(text) == number
