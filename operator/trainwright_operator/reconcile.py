"""One look at one run: observe, decide, apply, say. Everything else in this package serves these four steps."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from trainwright.api import Spec

from trainwright_operator import manifests, names, status
from trainwright_operator.cluster import Cluster
from trainwright_operator.decide import decide
from trainwright_operator.errors import Exists, NotFound
from trainwright_operator.events import events_of
from trainwright_operator.judge import UNBOUND_AFTER_S
from trainwright_operator.manifests.owner import Owner
from trainwright_operator.metrics import Metrics
from trainwright_operator.observed import ObservedPod, ObservedRun, job_of, run_of
from trainwright_operator.settings import Settings
from trainwright_operator.specs import Specs
from trainwright_operator.status_patch import is_only_progress, status_patch
from trainwright_operator.store import Key, Store
from trainwright_operator.world import Action, Decision, DeleteRun, EndPods, QuietStore, Start, Stop, World

PROGRESS_EVERY_S = 15.0
"""Progress alone is written at most so often per run."""
SCHEMA_EVERY_S = 30.0
"""The served schema is compared again so often while it is behind."""
REFUSED_AFTER_S = 5.0
"""A Job without pods for so long is asked why."""


class Reconciler:
    """Brings runs nearer to what their specs say, one look at a time."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings, metrics: Metrics) -> None:
        self.cluster, self.store, self.settings, self.metrics = cluster, store, settings, metrics
        self.certificate: str | None = None
        self.missing_fields: tuple[str, ...] = ()
        """What the served CRD lacks; while it does, no run is started."""
        self._specs = Specs()
        self._written: dict[Key, float] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Look at a run; return after how many seconds to look again even if nothing happens."""
        run = self.store.runs.get(key)
        if run is None:
            self._written.pop(key, None)
            return None
        if self.missing_fields and not run.status.get("startTime"):
            await self.say(run, Decision(actions=(), status=status.held_back(run, self.missing_fields)))
            return SCHEMA_EVERY_S
        world = await self.observe(run)
        decision = decide(world)
        if any(isinstance(action, EndPods) for action in decision.actions):
            await self.say(run, decision)  # why pods are ended is recorded before they are gone
            run = self.store.runs[key]
        await asyncio.gather(*(self.apply(world, action) for action in decision.actions))
        if decision.actions:
            decision = decide(await self.observe(run))  # what was done now is part of what is said
        return _sooner(await self.say(run, decision), decision.look_again_s)

    async def observe(self, run: ObservedRun) -> World:
        """Put together what is seen of a run."""
        jobs, pods = self.store.children(run)
        spec, problems = self._specs.of(run)
        now = datetime.now(UTC).replace(microsecond=0)
        told = self.store.told.get((run.namespace, run.name), {})
        with_pods = {(pod.group, pod.attempt) for pod in pods}
        refusals = {}
        for job in jobs:
            silent = not job.is_over and not job.suspended and (job.group, job.attempt) not in with_pods
            if silent and (now - job.created).total_seconds() > REFUSED_AFTER_S:
                refusals[job.name] = await self._refusal(run.namespace, job.uid)
        return World(
            run=run,
            spec=spec,
            problems=problems,
            jobs=jobs,
            pods=pods,
            told=told,
            refusals={name: words for name, words in refusals.items() if words},
            unbound=await self._unbound(run, spec, pods, now),
            now=now,
        )

    async def apply(self, world: World, action: Action) -> None:
        """Do what was decided."""
        run = world.run
        match action:
            case Start():
                await self._start(world, action)
            case Stop(job=job):
                await self.cluster.delete("batch/v1", "Job", run.namespace, job.name, uid=job.uid)
            case EndPods(pods=pods, force=force):
                grace = 0 if force else None
                for pod in pods:
                    await self.cluster.delete("v1", "Pod", run.namespace, pod.name, uid=pod.uid, grace_s=grace)
            case QuietStore():
                *_, store = manifests.weaviate_objects(await self._owner(world), replicas=0)
                await self.cluster.apply(store)
            case DeleteRun():
                api = f"{names.GROUP}/{names.VERSION}"
                await self.cluster.delete(api, names.KIND, run.namespace, run.name, uid=run.uid)

    async def say(self, run: ObservedRun, decision: Decision) -> float | None:
        """Patch the status if it differs; return when to say the rest if progress alone has to wait."""
        patch = status_patch(run.status, decision.status)
        if not patch:
            return None
        key = (run.namespace, run.name)
        wait = self._written.get(key, 0.0) + PROGRESS_EVERY_S - time.monotonic()
        if is_only_progress(patch) and wait > 0:
            return wait
        written = run_of(await self.cluster.patch_status(run.namespace, run.name, patch, run.resource_version))
        self._written[key] = time.monotonic()
        self.store.put_run(written)
        for event in events_of(run, written):
            self.metrics.count_event(event["reason"])
            await self.cluster.create(event)
        return None

    async def _start(self, world: World, action: Start) -> None:
        """Make what an attempt needs, then its Job. Each object is made under a name that a second try meets again."""
        owner = await self._owner(world)
        group = action.group
        needed = []
        if action.attempt > 1 or not group.needs:
            needed += list(manifests.run_objects(owner, certificate=self.certificate))
        if group.is_gang:
            needed.append(manifests.gang_service(owner))
        if "index" in group.stages and owner.spec.vector_store.external is None:
            await self._create_once(manifests.weaviate_secret(owner, secrets.token_urlsafe(32)))
            needed += list(manifests.weaviate_objects(owner, replicas=owner.spec.cluster.weaviate.replicas))
        if not group.needs:
            await self._share_claim(owner)
        make = self.cluster.apply if action.attempt > 1 else self._create_once
        await asyncio.gather(*(make(manifest) for manifest in needed))
        preflight = owner.spec.goal == "Train" and "tokenize" in group.stages
        job = manifests.job(owner, group, action.attempt, halvings=action.halvings, preflight=preflight)
        created = await self._create_once(job)
        observed = job_of(created)
        if observed is not None and observed.run_uid == world.run.uid:
            self.store.put_job(observed)
        self.metrics.count_start(group.name, action.attempt)

    async def _share_claim(self, owner: Owner) -> None:
        """Become a second owner of another run's claim; it lives as long as either. A team's own is never owned."""
        name = owner.spec.cluster.workspace.claim_name
        if name is None:
            return
        try:
            claim = await self.cluster.get("v1", "PersistentVolumeClaim", owner.namespace, name)
        except NotFound:
            return  # the scheduler will say so
        meta = claim["metadata"]
        owners = list(meta.get("ownerReferences") or ())
        made_here = names.RUN in (meta.get("labels") or {})
        if not made_here or any(each.get("uid") == owner.uid for each in owners):
            return
        mine = {**owner.metadata(name)["ownerReferences"][0], "controller": False}
        patch = {"metadata": {"ownerReferences": [*owners, mine], "resourceVersion": meta["resourceVersion"]}}
        await self.cluster.patch({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}, patch)

    async def _create_once(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create an object; one of ours that is there already is success.

        Raises:
            Exists: it belongs to an earlier run of the same name and is about to go.
        """
        try:
            return await self.cluster.create(manifest)
        except Exists:
            meta = manifest["metadata"]
            if manifest["kind"] == "Secret":  # its name holds the run's UID, and its content is not ours to read
                return manifest
            there = await self.cluster.get(manifest["apiVersion"], manifest["kind"], meta["namespace"], meta["name"])
            if _owner_uid(there) != _owner_uid(manifest) or "deletionTimestamp" in there["metadata"]:
                raise
            return there

    async def _owner(self, world: World) -> Owner:
        run = world.run
        assert world.spec is not None
        return Owner(
            name=run.name,
            namespace=run.namespace,
            uid=run.uid,
            spec=world.spec,
            labels=run.labels,
            image=await self._image(world),
            settings=self.settings,
        )

    async def _image(self, world: World) -> str:
        """The image pinned at the first start; an upgrade of the operator changes nothing for a run in flight."""
        run, spec = world.run, world.spec
        assert spec is not None
        wanted = spec.cluster.image or self.settings.trainer_image
        if not run.status.get("startTime") or spec.cluster.image:
            return wanted
        if world.jobs:
            return max(world.jobs, key=lambda job: job.created).image or wanted
        try:
            config = await self.cluster.get("v1", "ConfigMap", run.namespace, names.run_config(run.name))
        except NotFound:
            return wanted
        return str((config.get("data") or {}).get(names.IMAGE_KEY) or wanted)

    async def _unbound(
        self, run: ObservedRun, spec: Spec | None, pods: Sequence[ObservedPod], now: datetime
    ) -> str | None:
        """Why the claim of the workspace is not bound, once a pod has waited for it long enough."""
        silent = [pod for pod in pods if pod.phase == "Pending" and pod.node is None and pod.unschedulable is None]
        if spec is None or not any((now - pod.created).total_seconds() > UNBOUND_AFTER_S for pod in silent):
            return None
        name = spec.cluster.workspace.claim_name or names.workspace(run.name)
        try:
            claim = await self.cluster.get("v1", "PersistentVolumeClaim", run.namespace, name)
        except NotFound:
            return f"the claim {name} is not there"
        if (claim.get("status") or {}).get("phase") == "Bound":
            return None
        modes = ", ".join(claim["spec"]["accessModes"])
        words = await self._last_event(run.namespace, claim["metadata"]["uid"]) or "no volume was offered"
        return f"the claim {name} ({modes}) is not bound: {words}"

    async def _refusal(self, namespace: str, job_uid: str) -> str:
        """Why the Job controller could not create a pod, in the API server's own words."""
        return await self._last_event(namespace, job_uid, ",reason=FailedCreate")

    async def _last_event(self, namespace: str, uid: str, more: str = "") -> str:
        """What the last Event about an object says; empty if there is none. `more` narrows the field selector."""
        found = await self.cluster.list("v1", "Event", namespace, f"fieldSelector=involvedObject.uid={uid}{more}")
        return str(found[-1].get("message") or "") if found else ""


def _owner_uid(manifest: Mapping[str, Any]) -> str | None:
    owners = manifest["metadata"].get("ownerReferences") or [{}]
    uid: str | None = owners[0].get("uid")
    return uid


def _sooner(one: float | None, other: float | None) -> float | None:
    moments = [moment for moment in (one, other) if moment is not None]
    return min(moments, default=None)
