"""Every example validates and plans; running them is for tests/local."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from trainwright import local
from trainwright.api import load_run, problems
from trainwright.plan import Facts, cluster_machine, plan

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("cluster", [False, True], ids=["here", "cluster"])
def test_every_example_is_valid(example: Path, cluster: bool) -> None:
    assert problems(example.read_text("utf-8"), cluster=cluster) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_plans(example: Path, tmp_path: Path) -> None:
    text = local.plan_file(example, local.Options(workdir=tmp_path / "work"))
    assert "\nsizes\n" in text
    assert "problem:" not in text
    assert not (tmp_path / "work").exists()


def test_the_mission_is_planned_for_its_cluster_with_both_formulas(tmp_path: Path) -> None:
    text = local.plan_file(ROOT / "examples/llama-3.2-3b.yaml", local.Options(workdir=tmp_path / "work"))
    assert "the cluster: 4 × 8 A100-80GB" in text
    assert "3,212,749,824   exact" in text
    days = re.search(r"^  train +(\d+) d ", text, re.MULTILINE)
    assert days is not None
    assert f"says {days[1]} days on 32 GPUs" in (ROOT / "docs/way_of_a_run.md").read_text("utf-8")
    for figure in ("116.67 h", "7.29 h", "267.09 d", "721,153.85 s"):
        assert figure in text


def test_another_gpu_may_be_named(tmp_path: Path) -> None:
    options = local.Options(workdir=tmp_path / "work")
    text = local.plan_file(ROOT / "examples/llama-3.2-3b.yaml", options, gpu="H100", price=2.0)
    assert "memory of one H100" in text
    assert "2.00 USD an hour and device, --price" in text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_can_be_sized_without_knowing_anything(example: Path) -> None:
    spec = load_run(example).spec
    made = plan(spec, Facts(shape_basis="not known yet: nothing was read"), cluster_machine(spec))
    assert made.problems == ()


def test_every_example_is_listed() -> None:
    listed = (ROOT / "examples/README.md").read_text("utf-8")
    assert all(example.name in listed for example in EXAMPLES)
