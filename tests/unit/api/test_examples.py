"""The examples that ship: listed, commented, licensed, and facts that are worth learning."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from trainwright import api

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
FACTS = [
    json.loads(line)
    for line in (ROOT / "trainer_image/trainwright/examples/facts.jsonl").read_text("utf-8").splitlines()
]


def grams(text: str) -> set[bytes]:
    data = text.encode()
    return {data[start : start + 5] for start in range(len(data) - 4)}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_listed_and_tells_how_to_run_it(file: Path) -> None:
    assert f"[{file.name}]({file.name})" in (ROOT / "examples/README.md").read_text("utf-8")
    text = file.read_text("utf-8")
    assert f"examples/{file.name}" in text.partition("apiVersion")[0]


@pytest.mark.parametrize("name", ["quickstart", "from-scratch"])
def test_an_example_for_a_laptop_brings_everything_along(name: str) -> None:
    spec = api.load_run(ROOT / f"examples/{name}.yaml").spec
    assert api.unbuilt(spec) == []
    assert spec.model is not None
    uris = [source.uri for source in spec.data.sources] + [spec.model.from_ or "pkg://"]
    assert all(uri.startswith("pkg://") for uri in uris)
    assert all(source.license for source in spec.data.sources)


def test_the_mission_is_what_was_asked_for() -> None:
    spec = api.load_run(ROOT / "examples/llama-3.2-3b.yaml").spec
    assert spec.data.sources[0].max_rows == 200_000_000
    assert spec.cluster.stages.prepare.shards == 16
    assert spec.cluster.nodes * spec.cluster.gpus_per_node == 32
    assert spec.cluster.node_selector == {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
    assert (spec.objective, spec.epochs) == ("Finetune", 1000)


def test_the_facts_answer_the_probes_of_the_quickstart() -> None:
    answers = {fact["prompt"]: fact["response"] for fact in FACTS}
    for probe in api.load_run(ROOT / "examples/quickstart.yaml").spec.evaluation.probes:
        assert probe.contains in answers[probe.prompt]
    assert answers["Is Earth a star?"] == "No, Earth is a planet in the habitable zone of the Sun."


def test_the_facts_are_about_130_short_and_distinct_rows() -> None:
    assert 120 <= len(FACTS) <= 140
    assert all(fact.keys() == {"prompt", "response"} for fact in FACTS)
    assert all(5 <= len(fact["response"].split()) <= 20 for fact in FACTS)
    assert len({fact["prompt"].casefold() for fact in FACTS}) == len(FACTS)


def test_no_fact_is_so_like_another_that_preparation_would_drop_it() -> None:
    pairs = [({(0, gram) for gram in grams(f["prompt"])} | {(1, gram) for gram in grams(f["response"])}) for f in FACTS]
    assert max(len(a & b) / len(a | b) for a, b in itertools.combinations(pairs, 2)) < 0.7
