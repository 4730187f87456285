"""What to do about a run, from what is seen of it. Pure: the same world always gives the same decision.

For each group of stages, in order: has it succeeded (then never again), is an attempt at work, has one failed and may
another begin, or does it wait for others? Suspending, failing and finishing stop what is at work. `status.py` says it
in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from trainwright_operator import judge, status
from trainwright_operator.judge import Ruling
from trainwright_operator.observed import condition, time_of
from trainwright_operator.views import OUT_OF_MEMORY, GroupView, seconds_since, view
from trainwright_operator.world import Action, Decision, DeleteRun, EndPods, QuietStore, Start, Stop, World

GANG_WAIT_S = 600.0
"""A gang not wholly scheduled after so long releases its pods and tries again: two never block each other."""
HEARTBEAT_S = 30.0
"""A rank without a sign of life for so long is stalled (six of its beats)."""
DEAD_NODE_S = 60.0
"""A pod still there so long after its grace is on a dead node and is deleted by force."""


def decide(world: World) -> Decision:
    """Say what to do about a run."""
    run = world.run
    if run.deleting:
        return Decision(actions=(), status=run.status)
    if run.finished is not None:
        return _after_the_end(world)
    if world.spec is None:
        return _end(world, (), Ruling(reason="InvalidSpec", message="; ".join(world.problems), hint="", charge="final"))
    views = view(world)
    failed = next((ruling for ruling in (_final(one, world) for one in views) if ruling), None)
    if failed is None and not world.spec.suspend:
        failed = _deadline(world)
    if failed is not None:
        return _end(world, views, failed)
    if all(one.phase == "succeeded" for one in views):
        return Decision(actions=_quiet(world), status=status.complete(world, views))
    if world.spec.suspend:
        return Decision(actions=tuple(_stops(views)), status=status.suspended(world, views))
    gang = next((one for one in views if one.group.is_gang and one.phase in ("starting", "running")), None)
    stalled = stall(world, gang) if gang else None
    released = gang is not None and stalled is None and gang_waited_too_long(world, gang)
    actions = list(_actions(world, views))
    if gang is not None:
        actions += _gang_actions(gang, stalled, released=released)
    said = status.at_work(world, views, stalled=stalled, released=released)
    return Decision(actions=tuple(actions), status=said, look_again_s=_look_again(world, views))


def _final(one: GroupView, world: World) -> Ruling | None:
    """The ruling that ends the run, if the newest attempt's does."""
    assert world.spec is not None
    ruling = one.last_ruling
    if one.phase not in ("failed", "waiting") or ruling is None:
        return None
    twice = ruling.reason in OUT_OF_MEMORY and sum(r.reason in OUT_OF_MEMORY for r in one.rulings.values()) > 1
    over = ruling.charge == "user" and one.charged > world.spec.backoff_limit
    return ruling if ruling.charge == "final" or over or (twice and one.group.is_gang) else None


def _deadline(world: World) -> Ruling | None:
    assert world.spec is not None
    limit, since = world.spec.active_deadline_seconds, _active_since(world)
    if limit is None or since is None or (world.now - since).total_seconds() < limit:
        return None
    return judge.ruling("DeadlineExceeded", f"still at work after activeDeadlineSeconds: {limit}", charge="final")


def _active_since(world: World) -> datetime | None:
    """First start or last resume: when the condition Suspended became False."""
    said = condition(world.run.status, "Suspended") or {}
    return time_of(said.get("lastTransitionTime")) if said.get("status") == "False" else None


def _end(world: World, views: Sequence[GroupView], ruling: Ruling) -> Decision:
    stops = [job for job in world.jobs if not job.is_over and not job.deleting]
    actions = (*(Stop(job=job) for job in stops), *_quiet(world))
    return Decision(actions=actions, status=status.failed(world, views, ruling))


def _quiet(world: World) -> tuple[Action, ...]:
    spec = world.spec
    has_store = spec is not None and any(job.group == "index" for job in world.jobs)
    return (QuietStore(),) if spec is not None and has_store and not spec.cluster.weaviate.keep_serving else ()


def _after_the_end(world: World) -> Decision:
    """A finished run is never touched again, but for what is still at work and its time to live."""
    failed = world.run.finished == "Failed"
    stops = tuple(Stop(job=job) for job in world.jobs if failed and not job.is_over and not job.deleting)
    ttl = world.run.spec.get("ttlSecondsAfterFinished")
    ended = time_of(world.run.status.get("completionTime"))
    if ttl is None or ended is None:
        return Decision(actions=stops, status=world.run.status)
    left = (ended + timedelta(seconds=ttl) - world.now).total_seconds()
    if left <= 0:
        return Decision(actions=(DeleteRun(),), status=world.run.status)
    return Decision(actions=stops, status=world.run.status, look_again_s=left)


def _stops(views: Sequence[GroupView]) -> Iterator[Action]:
    for one in views:
        if one.phase != "succeeded" and one.job is not None and not one.job.is_over and not one.job.deleting:
            yield Stop(job=one.job)


def _actions(world: World, views: Sequence[GroupView]) -> Iterator[Action]:
    for one in views:
        dead = tuple(pod for pod in one.pods if pod.deletion and seconds_since(world, pod.deletion) > DEAD_NODE_S)
        if dead:
            yield EndPods(pods=dead, force=True)
        if one.phase in ("due", "failed") and (one.not_before is None or one.not_before <= world.now):
            yield Start(group=one.group, attempt=one.attempt + 1, halvings=one.halvings)


def _gang_actions(one: GroupView, stalled: Ruling | None, *, released: bool) -> Iterator[Action]:
    """End the pods of a gang that stands still, or give up the places of one that cannot begin."""
    assert one.job is not None
    if released:
        yield Stop(job=one.job)
    elif stalled is not None:
        # Deleting one pod fails the Job, which ends the others.
        culprits = [pod for pod in one.pods if pod.node == stalled.node and not pod.is_over] or list(one.pods)
        yield EndPods(pods=tuple(pod for pod in culprits if pod.deletion is None), force=False)


def gang_waited_too_long(world: World, one: GroupView) -> bool:
    """Whether a gang holds places that it cannot use, since others of its pods find none."""
    assert one.job is not None
    some = one.phase == "starting" and any(pod.node for pod in one.pods)
    whole = len(one.pods) >= one.job.completions and all(pod.node for pod in one.pods)
    return some and not whole and not one.job.suspended and seconds_since(world, one.job.created) > GANG_WAIT_S


def stall(world: World, one: GroupView) -> Ruling | None:
    """The rank that gives no sign of life, if one does not."""
    for pod in one.pods:
        told = world.told.get(pod.name)
        if told is None or pod.is_over or pod.deletion is not None:
            continue
        for rank in told.progress.ranks:
            silent = rank.heartbeat_age_seconds + (world.now - told.heard).total_seconds()
            if rank.heartbeat_age_seconds > HEARTBEAT_S:
                return judge.ruling(
                    "RankStalled",
                    f"rank {rank.rank} on {pod.node} gave no sign of life for {silent:.0f} s",
                    rank=rank.rank,
                    node=pod.node,
                    step=rank.step,
                    stage="train",
                )
    return None


def _look_again(world: World, views: Sequence[GroupView]) -> float | None:
    """The next moment at which time alone changes the decision."""
    moments: list[float] = []
    for one in views:
        if one.not_before is not None and one.not_before > world.now:
            moments.append((one.not_before - world.now).total_seconds())
        if one.phase in ("starting", "stopping", "running"):
            moments.append(10.0 if one.phase != "running" or one.group.is_gang else 60.0)
    limit, since = world.spec.active_deadline_seconds if world.spec else None, _active_since(world)
    if limit is not None and since is not None:
        moments.append(max(0.0, limit - (world.now - since).total_seconds()))
    return min(moments, default=None)
