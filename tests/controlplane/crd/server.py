"""The API server as a judge of TrainingRuns: dry runs with strict field validation, over one connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainwright import api

from testcluster.api import Api, ApiError, Object
from tests.controlplane.crd.specs import run_of

STRICT = "fieldValidation=Strict"
DRY = f"dryRun=All&{STRICT}"
ONLY_PYTHON = ("empty", "yaml")
"""What `trainwright validate` refuses and the API server takes: names without a value, and names that stand twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of a run: nothing if it is accepted, else a message and the fields at fault."""

    message: str
    fields: frozenset[str]

    @property
    def is_accepted(self) -> bool:
        """Say whether there is nothing to say."""
        return not self.message


class Server:
    """Judges runs of one namespace."""

    def __init__(self, client: Api, namespace: str) -> None:
        self._client = client
        self._runs = f"/apis/trainwright.dev/v1alpha1/namespaces/{namespace}/trainingruns"

    def judge(self, run: Object) -> Verdict:
        """Judge a new run."""
        return _verdict(lambda: self._client.post(f"{self._runs}?{DRY}", run))

    def create(self, name: str, spec: Object) -> None:
        """Make a run for good, to judge changes of it."""
        self._client.post(f"{self._runs}?{STRICT}", run_of(spec, name=name))

    def judge_patch(self, name: str, patch: Object) -> Verdict:
        """Judge a JSON merge patch of a spec."""
        return _verdict(lambda: self._client.patch(f"{self._runs}/{name}?{DRY}", {"spec": patch}))

    def judge_change(self, name: str, spec: Object) -> Verdict:
        """Judge another spec for a run that exists."""
        return _verdict(lambda: self._replace(name, spec))

    def _replace(self, name: str, spec: Object) -> None:
        metadata = self._client.get(f"{self._runs}/{name}")["metadata"]
        run = run_of(spec, name=name, resourceVersion=metadata["resourceVersion"])
        try:
            self._client.call("PUT", f"{self._runs}/{name}?{DRY}", run)
        except ApiError as error:
            if error.status != 409:
                raise
            # An operator of another test wrote to the run meanwhile.
            self._replace(name, spec)


def judge_as_validate(run: Object, before: Mapping[str, Any] | None = None, *, text: str = "") -> Verdict:
    """Judge as `trainwright validate --cluster` does, and beside it a change of the spec from `before`."""
    problems = api.problems(text, cluster=True) if text else api.problems_of_object(run)
    if before is not None and isinstance(run["spec"], Mapping):
        problems += api.problems_of_change(before, run["spec"])
    told = [problem for problem in problems if problem.rule not in ONLY_PYTHON]
    return Verdict(
        message="\n".join(f"{problem} [{problem.rule}]" for problem in told),
        fields=frozenset(problem.field for problem in told),
    )


def _verdict(ask: Callable[[], Any]) -> Verdict:
    try:
        ask()
    except ApiError as error:
        fields = {_as_we_write(cause["field"]) for cause in error.causes}
        fields |= set(re.findall(r'unknown field "([^"]*)"', str(error)))
        return Verdict(message=str(error), fields=frozenset(fields - {"<nil>"}))
    return Verdict(message="", fields=frozenset())


def _as_we_write(field: str) -> str:
    """The members of a map are sometimes in brackets: labels[a] is labels.a."""
    return re.sub(r"\[(?![0-9]+\])([^\]]*)\]", r".\1", field)
