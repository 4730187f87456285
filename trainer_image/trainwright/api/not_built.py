"""Fields of the spec that no stage acts on yet: `trainwright validate` warns of them, a run that sets one fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainwright.api.run import Spec

_AUDIT = "the audit is not built yet"
_OWN_SCRIPT = "only our own loop trains"

NOT_BUILT: Mapping[str, str] = {
    "data.prepare.language.translateTo": "rows are not translated yet",
    "data.prepare.language.translator": "rows are not translated yet",
    "data.prepare.offensive.threshold": "words are judged by the lists alone",
    "data.prepare.deduplicate.semantic": "duplicates are found by their text alone",
    "data.prepare.rareWords.enabled": "rare words are not substituted yet",
    "data.prepare.balance.enabled": "groups are not balanced yet",
    "data.audit.maxTopicShare": _AUDIT,
    "data.audit.maxSentimentShare": _AUDIT,
    "data.audit.maxGroupGap": _AUDIT,
    "data.audit.maxOffensiveShare": _AUDIT,
    "data.audit.maxPersonalDataShare": _AUDIT,
    "data.audit.minRows": _AUDIT,
    "data.audit.decisions": _AUDIT,
    "vectorStore.external": "vectors go to a store of the run's own",
    "training.command": _OWN_SCRIPT,
    "training.image": _OWN_SCRIPT,
    "training.code": _OWN_SCRIPT,
}
"""Path of the field → why. A stage that learns to act on one takes it out of here."""


def unbuilt(spec: Spec) -> list[str]:
    """Name the fields of `NOT_BUILT` that a spec asks for: those that do not hold their default."""
    asked = spec.model_dump(by_alias=True, mode="json")
    usual = Spec.model_validate({"data": {"sources": [{"uri": "./any"}]}}).model_dump(by_alias=True, mode="json")
    return [path for path in NOT_BUILT if _member(asked, path) != _member(usual, path)]


def _member(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name]
    return value
