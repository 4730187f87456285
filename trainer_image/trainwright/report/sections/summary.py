"""The head of the page: what was trained from what, the result in a few figures, and the answers to the probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainwright.report import wording
from trainwright.report.outputs import Outputs, mapping, records, texts

MOST_TILES = 6
HIGHER_IS_BETTER = {"bleu", "rouge1", "rouge2", "rougeL", "probes"}
NAMES = {
    "loss": "Loss",
    "perplexity": "Perplexity",
    "bleu": "BLEU",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "probes": "Probes met",
}


def summary(outputs: Outputs) -> dict[str, Any]:
    """What the head shows; parts that the run does not have are empty."""
    return {
        "name": outputs.config.name,
        "goal": {"Train": "Training", "PrepareData": "Data preparation", "Evaluate": "Evaluation"}[
            outputs.config.spec.goal
        ],
        "lede": _lede(outputs),
        "verdict": _verdict(outputs),
        "tiles": _fitting([tile for tile in _tiles(outputs) if tile]),
        "sample": _sample(outputs),
        "warnings": [
            (name, str(warning)) for name in outputs.stages for warning in texts(outputs.metric(name, "warnings"))
        ],
        "probes": _answered(outputs) if outputs.examples else [],
    }


def _sample(outputs: Outputs) -> str:
    """That not all rows were taken, if so."""
    most = outputs.config.sample
    return f"Sample of {wording.count(most)} exchanges a source" if most is not None else ""


def _answered(outputs: Outputs) -> list[dict[str, Any]]:
    """The probes with the answers before and after training."""
    probes = records(outputs.file("evaluate", "probes.json"))
    names = ("prompt", "contains", "before", "after", "met")
    return [{name: probe.get(name) for name in names} for probe in probes]


def _lede(outputs: Outputs) -> str:
    """One or two sentences: what was made of what."""
    spec = outputs.config.spec
    kept = outputs.counts("prepare").get("rowsKept", outputs.counts("ingest").get("exchanges"))
    sources = len(spec.data.sources)
    data = f"{wording.count(kept)} exchanges" if kept is not None else "exchanges"
    data += f" of {sources} source{'s' if sources > 1 else ''}"
    if spec.goal == "PrepareData":
        return f"{data[0].upper()}{data[1:]}, cleaned, judged and split."
    size = outputs.number("weights", "parameters") or outputs.counts("export").get("parameters")
    model = f"{model_name(outputs)}" + (f" ({wording.compact(size)} parameters)" if size else "")
    if spec.goal == "Evaluate":
        return f"{model}, judged on {data}."
    training = spec.training
    from_scratch = bool(spec.model and spec.model.scratch)
    how = (
        "trained from scratch"
        if from_scratch
        else "fine-tuned"
        if training.objective != "Pretrain"
        else "trained further"
    )
    adapter = f" with LoRA of rank {training.lora.rank}" if training.lora else ""
    steps, tokens = outputs.number("train", "steps"), outputs.counts("train").get("tokens")
    length = f": {wording.count(steps)} steps over {wording.compact(tokens)} tokens" if steps else ""
    return f"{model}, {how}{adapter}{length}, from {data}."


def model_name(outputs: Outputs) -> str:
    """The model's name: the end of its URI without suffix, or the shape it was made of."""
    model = outputs.config.spec.model
    if model is None:
        return "no model"
    if model.from_:
        return model.from_.rstrip("/").rpartition("/")[2].removesuffix(".gguf")
    scratch = model.scratch
    return str(scratch.preset or scratch.config or "a model") if scratch else "a model"


def written(metric: str, value: Any) -> str:
    """A figure of a metric as people write it: scores from 0 to 1 to three decimals, probes as a share."""
    if metric == "probes":
        return wording.share(value)
    return wording.score(value) if metric in HIGHER_IS_BETTER else wording.figure(value)


def _verdict(outputs: Outputs) -> dict[str, str] | None:
    gates = records(outputs.metric("evaluate", "gates"))
    missed = [str(gate.get("metric")) for gate in gates if not gate.get("met")]
    if missed:
        return {"kind": "bad", "text": f"Gate missed: {', '.join(missed)}"}
    if gates:
        return {"kind": "good", "text": "The gate is met" if len(gates) == 1 else f"All {len(gates)} gates met"}
    if outputs.metric("evaluate", "overfitting", "signal") is True:
        return {"kind": "warn", "text": "Signs of overfitting"}
    return None


def _tiles(outputs: Outputs) -> list[dict[str, Any] | None]:
    before, best, result = (mapping(outputs.metric("evaluate", name)) for name in ("before", "best", "result"))
    tested = result.get("split", "test")
    return [
        _change("Validation loss", "loss", before, best) or _first_to_best(outputs),
        _unigram(outputs),
        _plain("Perplexity", wording.figure(result.get("perplexity")), f"on {tested} rows") if result else None,
        _probes(outputs, before, result),
        _change("BLEU", "bleu", before, best) if best.get("bleu") is not None else None,
        _plain("Exchanges kept", *_kept(outputs)) if not best else None,
        _plain("Training time", wording.duration(outputs.fact("train", "seconds")), _speed(outputs))
        if "train" in outputs.stages
        else None,
        _plain("Whole run", wording.duration(total_seconds(outputs)), f"{len(outputs.stages)} stages"),
    ]


def _fitting(tiles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most as many tiles as fill one row; BLEU, which the tables have too, goes first."""
    return [tile for tile in tiles if len(tiles) <= MOST_TILES or tile["label"] != "BLEU"][:MOST_TILES]


def _change(label: str, metric: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    old, new = before.get(metric), after.get(metric)
    if not wording.is_number(new) or not wording.is_number(old):
        return None
    better = new > old if metric in HIGHER_IS_BETTER else new < old
    relative = old and metric not in HIGHER_IS_BETTER
    change = f"{(new - old) / old:+.1%}".replace("%", " %") if relative else f"{new - old:+.3f}"
    return _tile(
        label,
        written(metric, new),
        change.replace("-", "−"),
        before=written(metric, old),
        kind="good" if better else "bad",
    )


def _first_to_best(outputs: Outputs) -> dict[str, Any] | None:
    """From the evaluation before the first step to the best: for runs whose models were not asked before training."""
    first = next((point for point in outputs.evaluations() if point.get("step") == 0), None)
    best = mapping(outputs.metric("train", "best"))
    return _change("Validation loss", "loss", first, best) if first and best else None


def _unigram(outputs: Outputs) -> dict[str, Any] | None:
    """How far a model from scratch is below knowing only the frequencies of tokens."""
    model = outputs.config.spec.model
    unigram, best = outputs.number("tokenize", "unigramLoss"), outputs.number("train", "best", "loss")
    if not (model and model.scratch and unigram and best is not None):
        return None
    below = 1 - best / unigram
    label, kind = ("Below unigram", "good") if below > 0 else ("Above unigram", "bad")
    return _tile(label, wording.share(abs(below)), f"unigram loss {wording.figure(unigram)}", kind=kind)


def _probes(outputs: Outputs, before: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any] | None:
    total, after = outputs.counts("evaluate").get("probes", 0), result.get("probes")
    if not total or not wording.is_number(after):
        return None
    old = before.get("probes")
    met, earlier = f"{round(after * total)} of {total}", f"{round(old * total)}" if wording.is_number(old) else ""
    note = "before and after" if earlier else ""
    return _tile("Probes met", met, note, before=earlier, kind="good" if after == 1 else "warn")


def _kept(outputs: Outputs) -> tuple[str, str]:
    counts = outputs.counts("prepare")
    return wording.count(counts.get("rowsKept")), f"of {wording.count(counts.get('rowsIn'))}"


def _speed(outputs: Outputs) -> str:
    speed = outputs.metric("train", "tokensPerSecond")
    return f"{wording.compact(speed)} tokens/s" if wording.is_number(speed) else ""


def _plain(label: str, value: str, note: str) -> dict[str, Any] | None:
    return None if value == wording.NOTHING else _tile(label, value, note)


def _tile(label: str, value: str, note: str, *, before: str = "", kind: str = "") -> dict[str, Any]:
    return {"label": label, "value": value, "note": note, "before": before, "kind": kind}


def total_seconds(outputs: Outputs) -> float | None:
    """Time of all stages together, as their processes ran; None if no stage says."""
    seconds = [outputs.fact(name, "seconds") for name in outputs.stages]
    known = [value for value in seconds if wording.is_number(value)]
    return sum(known) if known else None
