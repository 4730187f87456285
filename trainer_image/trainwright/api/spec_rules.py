"""The rules of a whole spec: what a goal needs, what outlives a run, and what of it may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainwright.api.rules import Json, Rule, UpdateRule, has
from trainwright.api.training import Training

FIXED = ("goal", "model", "data", "vectorStore", "training", "evaluation", "output")
"""The fields that say what is made."""
OF_EVALUATE = ("sequenceLength", "truncation", "packing", "precision")
"""The fields of training that goal Evaluate has a use for."""

_NAMED_WORKSPACE = (
    "(has(self.cluster) && has(self.cluster.workspace)"
    " && (has(self.cluster.workspace.claimName) || has(self.cluster.workspace.uri)))"
)


def _lasts(spec: Json) -> bool:
    workspace = ("cluster", "workspace")
    return has(spec, "output") or has(spec, *workspace, "claimName") or has(spec, *workspace, "uri")


def _has_only(group: Any, names: tuple[str, ...]) -> bool:
    return not isinstance(group, Mapping) or all(name in names or value is None for name, value in group.items())


def _same(old: Any, new: Any) -> bool:
    return bool(_canonical(old) == _canonical(new))


def _canonical(value: Any, name: str = "") -> Any:
    """Drop nulls and the order of lists with keys, as the API server compares."""
    if isinstance(value, Mapping):
        return {key: _canonical(member, key) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        key = {"gates": "metric", "credentials": "prefix", "env": "name"}.get(name)
        items = [_canonical(item) for item in value]
        return sorted(items, key=lambda item: _text_of(item, key)) if key else items
    return value


def _text_of(item: Any, key: str) -> str:
    return str(item.get(key)) if isinstance(item, Mapping) else ""


def _workspace(spec: Json) -> Any:
    cluster = spec.get("cluster")
    return cluster.get("workspace") if isinstance(cluster, Mapping) else None


def _fixed(name: str) -> UpdateRule:
    return UpdateRule(
        id=f"{name}-fixed",
        cel=f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
        holds=lambda old, new: _same(old.get(name), new.get(name)),
        message="cannot change (only cluster, checkpoint, suspend, activeDeadlineSeconds, ttlSecondsAfterFinished and"
        " backoffLimit can): create another run; in the same workspace it reuses finished stages",
        field=name,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="goal-model",
        cel="(has(self.goal) && self.goal == 'PrepareData') || has(self.model)",
        holds=lambda s: s.get("goal") == "PrepareData" or has(s, "model"),
        message="model is required unless goal is PrepareData",
        field="model",
        reason="FieldValueRequired",
    ),
    Rule(
        id="goal-prepare",
        cel="!has(self.goal) || self.goal != 'PrepareData' || !(has(self.training) || has(self.evaluation))",
        holds=lambda s: s.get("goal") != "PrepareData" or not (has(s, "training") or has(s, "evaluation")),
        message="goal PrepareData has neither training nor evaluation",
    ),
    Rule(
        id="goal-evaluate",
        cel="!has(self.goal) || self.goal != 'Evaluate' || !has(self.model) || has(self.model.from)",
        holds=lambda s: s.get("goal") != "Evaluate" or not has(s, "model") or has(s, "model", "from"),
        message="goal Evaluate needs model.from",
        field="model",
    ),
    Rule(
        id="evaluate-training",
        cel="!has(self.goal) || self.goal != 'Evaluate' || !has(self.training) || !("
        + " || ".join(
            f"has(self.training.{field.alias or name})"
            for name, field in Training.model_fields.items()
            if field.alias not in OF_EVALUATE
        )
        + ")",
        holds=lambda s: s.get("goal") != "Evaluate" or _has_only(s.get("training"), OF_EVALUATE),
        message=f"goal Evaluate has of training only {', '.join(OF_EVALUATE)}",
        field="training",
    ),
    Rule(
        id="ttl-output",
        cel=f"!has(self.ttlSecondsAfterFinished) || has(self.output) || {_NAMED_WORKSPACE}",
        holds=lambda s: not has(s, "ttlSecondsAfterFinished") or _lasts(s),
        message="would delete the weights with the run: set output.uri, or a workspace that outlives it",
        field="ttlSecondsAfterFinished",
    ),
    Rule(
        id="prepare-lasts",
        cel=f"!has(self.goal) || self.goal != 'PrepareData' || has(self.output) || {_NAMED_WORKSPACE}",
        holds=lambda s: s.get("goal") != "PrepareData" or _lasts(s),
        message="PrepareData leaves nothing behind without output.uri or a workspace that outlives the run"
        " (claimName, uri)",
        cluster=True,
    ),
)

UPDATE_RULES: tuple[UpdateRule, ...] = (
    *(_fixed(name) for name in FIXED),
    UpdateRule(
        id="where-while-suspended",
        cel="(has(oldSelf.suspend) && oldSelf.suspend) || (has(self.cluster) == has(oldSelf.cluster)"
        " && (!has(self.cluster) || self.cluster == oldSelf.cluster))",
        holds=lambda old, new: old.get("suspend") is True or _same(old.get("cluster"), new.get("cluster")),
        message="can change only while the run is suspended: set suspend: true first",
        field="cluster",
    ),
    UpdateRule(
        id="workspace-fixed",
        cel="(has(oldSelf.cluster) && has(oldSelf.cluster.workspace)) == (has(self.cluster)"
        " && has(self.cluster.workspace)) && (!has(self.cluster) || !has(self.cluster.workspace)"
        " || self.cluster.workspace == oldSelf.cluster.workspace)",
        holds=lambda old, new: _same(_workspace(old), _workspace(new)),
        message="cannot change: finished stages are in it",
        field="cluster.workspace",
    ),
)
