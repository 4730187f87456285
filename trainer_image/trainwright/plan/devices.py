"""Devices that train: memory, published bf16 peak, and the share of it that training reaches; with example prices.

Peaks are dense (without sparsity), from NVIDIA's data sheets. Utilisations are those that others publish, lowered to a
round number: this product has not been measured on a GPU. The rate of a CPU core is measured (bench/plan_cpu_core.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GB = 10**9
PRICE_DATE = "June 2025"
PRICE_SOURCE = f"example: Amazon EC2 on demand, us-east-1, {PRICE_DATE}, per GPU; set --price"
DEFAULT_GPU = "A100-80GB"

A100_UTILISATION = (
    "llm-foundry publishes 0.55 (A100-40GB, 128 GPUs) to 0.62 (A100-80GB, 8 GPUs) for 2.65 B parameters at 2,048 tokens"
)
H100_UTILISATION = "llm-foundry publishes 0.39 (512 GPUs) to 0.44 (16 GPUs) for 3 B parameters at 2,048 tokens"
ASSUMED_UTILISATION = "assumed: no published figure for this size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One kind of device."""

    name: str
    memory_bytes: int | None
    flops: float
    """Peak bf16 operations a second; for a CPU core what training reaches."""
    utilisation: float
    """Share of the peak that training reaches (model FLOPs utilisation)."""
    source: str
    """Where the utilisation is from."""
    products: str = ""
    """Regular expression for the node label nvidia.com/gpu.product."""
    price_per_hour: float | None = None

    @property
    def is_gpu(self) -> bool:
        """True for a GPU, False for a CPU core."""
        return bool(self.products)


GPUS: tuple[Device, ...] = (
    Device(
        name="A100-80GB",
        memory_bytes=80 * GB,
        flops=312e12,
        utilisation=0.45,
        source=A100_UTILISATION,
        products=r"NVIDIA-A100-(SXM4-80GB|80GB-PCIe|SXM-80GB|SXM-64GB)",
        price_per_hour=3.43,
    ),
    Device(
        name="A100-40GB",
        memory_bytes=40 * GB,
        flops=312e12,
        utilisation=0.45,
        source=A100_UTILISATION,
        products=r"(NVIDIA-)?A100-(SXM4-40GB|PCIE-40GB)",
        price_per_hour=2.74,
    ),
    Device(
        name="H100",
        memory_bytes=80 * GB,
        flops=989e12,
        utilisation=0.38,
        source=H100_UTILISATION,
        products=r"NVIDIA-H100-80GB-HBM3",
        price_per_hour=6.88,
    ),
    Device(
        name="H100-PCIe",
        memory_bytes=80 * GB,
        flops=756e12,
        utilisation=0.38,
        source=H100_UTILISATION,
        products=r"NVIDIA-H100-PCIe",
    ),
    Device(
        name="H200",
        memory_bytes=141 * GB,
        flops=989e12,
        utilisation=0.38,
        source=H100_UTILISATION,
        products=r"NVIDIA-H200",
        price_per_hour=7.91,
    ),
    Device(
        name="L40S",
        memory_bytes=48 * GB,
        flops=362e12,
        utilisation=0.35,
        source=ASSUMED_UTILISATION,
        products=r"NVIDIA-L40S",
        price_per_hour=1.86,
    ),
    Device(
        name="L4",
        memory_bytes=24 * GB,
        flops=121e12,
        utilisation=0.35,
        source=ASSUMED_UTILISATION,
        products=r"NVIDIA-L4",
        price_per_hour=0.80,
    ),
    Device(
        name="A10",
        memory_bytes=24 * GB,
        flops=125e12,
        utilisation=0.35,
        source=ASSUMED_UTILISATION,
        products=r"NVIDIA-A10",
    ),
    Device(
        name="A10G",
        memory_bytes=24 * GB,
        flops=70e12,
        utilisation=0.35,
        source=ASSUMED_UTILISATION,
        products=r"NVIDIA-A10G",
        price_per_hour=1.01,
    ),
)

CPU_CORE = Device(
    name="CPU core",
    memory_bytes=None,
    flops=100e9,
    utilisation=1.0,
    source="measured, 80 to 105 GFLOPS on a core with avx512_bf16 (bench/results/plan_cpu_core.json); others differ",
)


def gpu_named(name: str) -> Device | None:
    """Find a GPU by its name here (A100-80GB) or by a node's product label (NVIDIA-A100-SXM4-80GB, …-SHARED)."""
    label = name.strip().replace(" ", "-").removesuffix("-SHARED")
    for gpu in GPUS:
        if label.lower() == gpu.name.lower() or re.fullmatch(gpu.products, label, re.IGNORECASE):
            return gpu
    return None
