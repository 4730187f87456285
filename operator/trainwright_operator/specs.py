"""Specs as models, read once per generation of a run; a spec that the models refuse comes as its problems."""

from __future__ import annotations

from trainwright.api import Spec, problems_of_object, unbuilt

from trainwright_operator import names
from trainwright_operator.observed import ObservedRun

Read = tuple[Spec | None, tuple[str, ...]]


class Specs:
    """Remembers what it has read."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[int, Read]] = {}

    def of(self, run: ObservedRun) -> Read:
        """The spec of a run, or why there is none."""
        generation, read = self._read.get(run.uid, (0, (None, ())))
        if generation != run.generation:
            read = _read(run)
            self._read[run.uid] = (run.generation, read)
        return read

    def forget(self, uid: str) -> None:
        """The run is gone."""
        self._read.pop(uid, None)


def _read(run: ObservedRun) -> Read:
    body = {
        "apiVersion": f"{names.GROUP}/{names.VERSION}",
        "kind": names.KIND,
        "metadata": {"name": run.name, "namespace": run.namespace},
        "spec": run.spec,
    }
    problems = [str(problem) for problem in problems_of_object(body)]
    if problems:
        return None, tuple(problems)
    spec = Spec.model_validate(run.spec)
    missing = unbuilt(spec)
    return (None, tuple(f"not built yet: {field}" for field in missing)) if missing else (spec, ())
