"""What the watches have told, by run: the one place where observed objects are kept in memory.

Our own writes are entered too, so that a run is never decided on from before them; an older version that a watch
brings later does not replace a newer one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from trainwright_operator.observed import ObservedJob, ObservedPod, ObservedRun
from trainwright_operator.world import Told

Key = tuple[str, str]
"""Namespace and name of a run."""


@dataclass(slots=True)
class Store:
    """Runs, their Jobs and pods, and what the pods said."""

    runs: dict[Key, ObservedRun] = field(default_factory=dict)
    jobs: dict[Key, dict[str, ObservedJob]] = field(default_factory=lambda: defaultdict(dict))
    pods: dict[Key, dict[str, ObservedPod]] = field(default_factory=lambda: defaultdict(dict))
    told: dict[Key, dict[str, Told]] = field(default_factory=lambda: defaultdict(dict))

    def put_run(self, run: ObservedRun) -> Key:
        """Enter a run, unless a newer version of it is here."""
        key = (run.namespace, run.name)
        known = self.runs.get(key)
        if known is None or known.uid != run.uid or int(run.resource_version) >= int(known.resource_version):
            self.runs[key] = run
        return key

    def put_job(self, job: ObservedJob) -> Key:
        """Enter a Job."""
        key = (job.namespace, job.run)
        self.jobs[key][job.name] = job
        return key

    def put_pod(self, pod: ObservedPod) -> Key:
        """Enter a pod."""
        key = (pod.namespace, pod.run)
        self.pods[key][pod.name] = pod
        return key

    def forget_run(self, run: ObservedRun) -> Key:
        """A run is gone; its children go on their own."""
        key = (run.namespace, run.name)
        if key in self.runs and self.runs[key].uid == run.uid:
            del self.runs[key]
            self.told.pop(key, None)
        return key

    def forget_job(self, job: ObservedJob) -> Key:
        """A Job is gone."""
        return self._forget(self.jobs, (job.namespace, job.run), job.name)

    def forget_pod(self, pod: ObservedPod) -> Key:
        """A pod is gone."""
        key = (pod.namespace, pod.run)
        if key in self.told:
            self.told[key].pop(pod.name, None)
        return self._forget(self.pods, key, pod.name)

    def children(self, run: ObservedRun) -> tuple[list[ObservedJob], list[ObservedPod]]:
        """The Jobs and pods of exactly this run, not of an earlier one of the same name."""
        key = (run.namespace, run.name)
        jobs = [job for job in self.jobs.get(key, {}).values() if job.run_uid == run.uid]
        pods = [pod for pod in self.pods.get(key, {}).values() if pod.run_uid == run.uid]
        return jobs, pods

    @staticmethod
    def _forget(
        where: dict[Key, dict[str, ObservedJob]] | dict[Key, dict[str, ObservedPod]], key: Key, name: str
    ) -> Key:
        if key in where:
            where[key].pop(name, None)
            if not where[key]:
                del where[key]
        return key
