"""A small model of what the API server, the Job controller and a kubelet do, to try decisions in thousands of orders.

It plays events in random order: pods appear, start, end well or badly or vanish with their node; writes of the
operator are lost when it is killed; what it sees may be a little old. The operator's part is the real `decide`.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from trainwright.api import Spec
from trainwright.contract import PodReport, StageReport, Verdict
from trainwright_operator import names
from trainwright_operator.decide import decide
from trainwright_operator.observed import ObservedJob, ObservedPod, ObservedRun
from trainwright_operator.status_patch import status_patch
from trainwright_operator.world import DeleteRun, EndPods, QuietStore, Start, Stop, World

START = datetime(2026, 1, 1, tzinfo=UTC)
SPEC: dict[str, Any] = {
    "model": {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 512}}},
    "data": {"sources": [{"uri": "pvc://data/rows.jsonl"}]},
    "cluster": {"nodes": 2},
}


@cache
def _read(spec: str) -> Spec:
    return Spec.model_validate(json.loads(spec))


def merged(old: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386."""
    new = dict(old)
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        elif isinstance(value, dict):
            new[name] = merged(new.get(name) if isinstance(new.get(name), dict) else {}, value)
        else:
            new[name] = value
    return new


@dataclass
class Simulation:
    """One run, its Jobs and pods, and the history of what was started."""

    dice: random.Random
    spec: dict[str, Any] = field(default_factory=lambda: dict(SPEC))
    failures: int = 0
    """How many attempts fail in all."""
    reason: str = "RankCrashed"
    kills: float = 0.0
    """Probability that the operator dies in the middle of a look."""
    now: datetime = START
    jobs: dict[str, ObservedJob] = field(default_factory=dict)
    pods: dict[str, ObservedPod] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    started: list[tuple[str, int]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    gangs_at_once: int = 0
    restarts: int = 0
    deleted: bool = False
    failed_attempts: set[tuple[str, int]] = field(default_factory=set)

    @property
    def run(self) -> ObservedRun:
        return ObservedRun(
            name="chat",
            namespace="team",
            uid="u-1",
            generation=1,
            resource_version="1",
            created=START,
            deleting=False,
            labels={},
            spec=self.spec,
            status=self.status,
        )

    def world(self) -> World:
        return World(
            run=self.run,
            spec=_read(json.dumps(self.spec)),
            jobs=tuple(self.jobs.values()),
            pods=tuple(self.pods.values()),
            now=self.now,
        )

    def look(self) -> None:
        """One reconcile; the operator may be killed after any of its writes."""
        decision = decide(self.world())
        for action in decision.actions:
            self._do(action)
            if self.dice.random() < self.kills:
                self.restarts += 1
                return
        if decision.actions:
            decision = decide(self.world())
        self.status = merged(self.status, status_patch(self.status, decision.status))

    def _do(self, action: Any) -> None:
        match action:
            case Start():
                name = names.job("chat", action.group.name, action.attempt)
                if name in self.jobs:
                    return
                self.started.append((action.group.name, action.attempt))
                self.jobs[name] = ObservedJob(
                    name=name,
                    namespace="team",
                    run="chat",
                    run_uid="u-1",
                    uid=f"{name}-{len(self.started)}",
                    group=action.group.name,
                    attempt=action.attempt,
                    created=self.now,
                    deleting=False,
                    suspended=False,
                    completions=2 if action.group.is_gang else 1,
                    active=0,
                    terminating=0,
                    complete=False,
                    failed_reason=None,
                    failed_message="",
                    ended=None,
                    image="trainer",
                )
            case Stop(job=job):
                if job.name in self.jobs:
                    self.jobs[job.name] = replace(job, deleting=True)
            case EndPods(pods=pods):
                for pod in pods:
                    self._end(pod, "Failed", None)
            case DeleteRun():
                self.deleted = True
            case QuietStore():
                pass

    def happen(self) -> None:
        """Time passes and one thing happens in the cluster."""
        self.now += timedelta(seconds=self.dice.randint(1, 20))
        self.dice.choice([self._sync_jobs, self._sync_jobs, self._move_a_pod, self._move_a_pod])()
        active = {job.name for job in self.jobs.values() if job.group == "train" and self._living(job)}
        self.gangs_at_once = max(self.gangs_at_once, len(active))

    def _living(self, job: ObservedJob) -> list[ObservedPod]:
        return [
            pod
            for pod in self.pods.values()
            if (pod.group, pod.attempt) == (job.group, job.attempt) and not pod.is_over
        ]

    def _sync_jobs(self) -> None:
        for job in list(self.jobs.values()):
            living = self._living(job)
            if job.deleting:
                for pod in living:
                    self._end(pod, "Failed", None)
                if not living:
                    del self.jobs[job.name]
                    for name in [
                        n for n, pod in self.pods.items() if (pod.group, pod.attempt) == (job.group, job.attempt)
                    ]:
                        del self.pods[name]
                continue
            if job.is_over:
                continue
            own = [pod for pod in self.pods.values() if (pod.group, pod.attempt) == (job.group, job.attempt)]
            if len(own) < job.completions and not any(pod.phase == "Failed" for pod in own):
                for index in range(job.completions):
                    name = f"{job.name}-{index}"
                    self.pods.setdefault(name, self._pod(job, index, name))
            elif any(pod.phase == "Failed" for pod in own):
                for pod in living:
                    self._end(pod, "Failed", 75)
                if not living:
                    self.jobs[job.name] = replace(job, failed_reason="BackoffLimitExceeded", ended=self.now)
            elif own and all(pod.phase == "Succeeded" for pod in own):
                self.jobs[job.name] = replace(job, complete=True, ended=self.now)

    def _pod(self, job: ObservedJob, index: int, name: str) -> ObservedPod:
        return ObservedPod(
            name=name,
            namespace="team",
            run="chat",
            run_uid="u-1",
            uid=name,
            group=job.group,
            attempt=job.attempt,
            index=index,
            node=None,
            phase="Pending",
            created=self.now,
            started=None,
            deletion=None,
            disrupted=None,
            reason=None,
            message="",
            unschedulable=None,
            waiting=None,
            exit_code=None,
            terminated=None,
            report=None,
        )

    def _move_a_pod(self) -> None:
        living = [pod for pod in self.pods.values() if not pod.is_over]
        if not living:
            return
        pod = self.dice.choice(living)
        if pod.phase == "Pending":
            self.pods[pod.name] = replace(pod, phase="Running", node="node-1", started=self.now)
        elif self.failures > 0 and self.dice.random() < 0.5 and not self._published(pod):
            self.failures -= 1
            self._fail(pod)
        else:
            self._end(pod, "Succeeded", 0)

    def _published(self, pod: ObservedPod) -> bool:
        """Whether the first pod of its attempt has left the stage's result: what comes after does not matter."""
        own = [each for each in self.pods.values() if (each.group, each.attempt) == (pod.group, pod.attempt)]
        return any(each.index == 0 and each.phase == "Succeeded" for each in own)

    def _fail(self, pod: ObservedPod) -> None:
        self.failed_attempts.add((pod.group, pod.attempt))
        if self.reason == "NodeLost":
            self.pods[pod.name] = replace(pod, phase="Failed", disrupted="DeletionByTaintManager")
            return
        verdict = Verdict(reason=self.reason, message="it broke", exit_code=3)
        self._end(pod, "Failed", 3, PodReport(failure=verdict))

    def _end(self, pod: ObservedPod, phase: str, code: int | None, report: PodReport | None = None) -> None:
        if phase == "Succeeded":
            stages = ["train"] if pod.group == "train" else [pod.group]
            self.finished += stages if pod.index == 0 else []
            report = PodReport(stages={name: StageReport(state="Succeeded") for name in stages})
        self.pods[pod.name] = replace(pod, phase=phase, exit_code=code, report=report)

    def until_the_end(self, *, looks: int = 400) -> Simulation:
        """Let it run until the run is Complete or Failed."""
        for _ in range(looks):
            self.look()
            if self.run.finished:
                break
            self.happen()
        return self
