"""The API server as a judge of TrainingRuns: dry runs with strict field validation, over one connection."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trainwright import api

from testcluster.api import Api, ApiError, Object
from tests.controlplane.bare_job import wait_until
from tests.controlplane.crd.specs import run_of, spec_of

STRICT = "fieldValidation=Strict"
DRY = f"dryRun=All&{STRICT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of a run: nothing if it is accepted, else a message and the fields at fault.

    `is_only_strict`: the fault is nothing but names without a value, which the API server takes as absent.
    """

    message: str = ""
    fields: frozenset[str] = frozenset()
    is_only_strict: bool = False

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

    def judge_change(self, name: str, run: Object) -> Verdict:
        """Judge a run in place of one that exists."""
        return _verdict(lambda: self._replace(name, run))

    def _replace(self, name: str, run: Object) -> None:
        version = self._client.get(f"{self._runs}/{name}")["metadata"]["resourceVersion"]
        changed = {**run, "metadata": {**run["metadata"], "resourceVersion": version}}
        try:
            self._client.call("PUT", f"{self._runs}/{name}?{DRY}", changed)
        except ApiError as error:
            if error.status != 409:
                raise
            # An operator of another test wrote to the run meanwhile.
            self._replace(name, run)


@contextlib.contextmanager
def serving(client: Api) -> Iterator[Server]:
    """Wait until TrainingRuns are served, and judge them in a namespace that is gone afterwards."""
    name = f"crd-{uuid.uuid4().hex[:8]}"
    client.post("/api/v1/namespaces", {"metadata": {"name": name}})
    server = Server(client, name)
    wait_until(lambda: server.judge(run_of(spec_of(""))).is_accepted)
    yield server
    client.delete(f"/api/v1/namespaces/{name}")


def judge_as_validate(run: Object, before: Mapping[str, Any] | None = None) -> Verdict:
    """Judge as `trainwright validate --cluster` does, and beside it a change of the spec from `before`."""
    problems = api.problems(json.dumps(run), cluster=True)
    if before is not None and isinstance(run.get("spec"), Mapping):
        problems += api.problems_of_change(before, run["spec"])
    return Verdict(
        message="\n".join(f"{problem} [{problem.rule}]" for problem in problems),
        fields=frozenset(plain(problem.field) for problem in problems),
        is_only_strict={problem.rule for problem in problems} == {"empty"},
    )


def difference(theirs: Verdict, ours: Verdict) -> str:
    """Say what the API server (`theirs`) and `trainwright validate` (`ours`) do not see alike, if anything."""
    alike = ours.is_accepted or ours.is_only_strict if theirs.is_accepted else not ours.is_accepted
    # Of metadata we name the very label, the API server all labels.
    fields = sorted(field for field in theirs.fields if field.startswith("spec"))
    unnamed = [field for field in fields if not any(f"{field}.".startswith(f"{own}.") for own in ours.fields)]
    if alike and not unnamed:
        return ""
    return f"API server: {theirs.message or 'accepted'}\nvalidate: {ours.message or 'accepted'}\nonly there: {unnamed}"


def plain(field: str) -> str:
    """Write a field without brackets: the API server has them around some keys of maps, too."""
    return field.replace("[", ".").replace("]", "")


def _verdict(ask: Callable[[], Any]) -> Verdict:
    try:
        ask()
    except ApiError as error:
        # We look for doubles only in lists that are sound otherwise.
        alone = len(error.causes) == 1
        causes = [cause for cause in error.causes if alone or cause["reason"] != "FieldValueDuplicate"]
        fields = {plain(cause["field"]) for cause in causes}
        fields |= {plain(field) for field in re.findall(r'unknown field "([^"]*)"', str(error))}
        return Verdict(message=str(error), fields=frozenset(fields - {"<nil>"}))
    return Verdict()
