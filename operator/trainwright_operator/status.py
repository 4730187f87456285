"""The status of a run, in words people and programs read. Pure.

In: a world and where its groups stand. Out: the whole status as it is to be; what pods reported is merged into what is
known already, and what was said of a finished stage never changes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from trainwright.contract import PodReport

from trainwright_operator.judge import Ruling
from trainwright_operator.observed import ObservedPod, ObservedRun, condition
from trainwright_operator.progress_words import display, eta, percent
from trainwright_operator.views import DONE, GroupView
from trainwright_operator.world import Told, World

FRAGMENTS = ("plan", "data", "evaluations", "best", "checkpoint", "result", "output")
"""Parts of the status that pods report in its own shape."""
PHASE = {
    "weights": "Preparing",
    "ingest": "Preparing",
    "prepare": "Preparing",
    "tokenize": "Preparing",
    "index": "Preparing",
    "train": "Training",
    "evaluate": "Evaluating",
    "export": "Exporting",
    "report": "Exporting",
}
SAY_WHY_AFTER_S = 10.0
"""A wait is explained once it lasted so long."""

Json = dict[str, Any]


def at_work(world: World, views: Sequence[GroupView], *, stalled: Ruling | None = None, released: bool = False) -> Json:
    """The status of a run that goes on.

    `stalled` is what the operator found out about the gang and is about to act on, `released` that the gang gives up
    its places: both are recorded before it acts, since nothing else will tell it afterwards.
    """
    status = _common(world, views)
    status |= _phase(world, views, status["stages"])
    gang = next((one for one in views if one.group.is_gang), None)
    if gang is not None and stalled is not None:
        status["failure"] = _failure(stalled, "train", gang.attempt)
        status |= {"reason": stalled.reason, "message": f"{stalled.message}; the gang starts anew"}
    if gang is not None and released:
        words = "not all pods of the gang found a place; all are released and tried again"
        status["stages"]["train"] |= {"state": "Queued", "completionTime": stamp(world.now), "message": words}
        status |= {"reason": "Unschedulable", "message": words}
    status["conditions"] = _conditions(world, Suspended=("False", "Started", ""))
    status["progress"] = _progress(world, views, status)
    return _clean(status)


def suspended(world: World, views: Sequence[GroupView]) -> Json:
    """The status of a run that is told to rest; what is finished stays so."""
    status = _common(world, views)
    ending = [one for one in views if one.job is not None and not one.job.is_over] or [
        one for one in views if one.phase == "stopping"
    ]
    for entry in status["stages"].values():
        if entry["state"] in ("Running", "Queued", "Failed"):
            entry |= {"state": "Waiting", "message": "suspended"}
    gpus = sum(_gpus(world, one) for one in ending)
    words = "suspended; its pods are ending" if ending else "suspended; set spec.suspend to false to go on"
    status |= {"phase": "Suspended", "message": words, "gpus": gpus}
    status["conditions"] = _conditions(world, Suspended=("True", "Suspended", words))
    if "progress" in status:
        status["progress"] = {key: value for key, value in status["progress"].items() if key != "eta"}
    for gone in ("reason", "stage"):
        status.pop(gone, None)
    return _clean(status)


def complete(world: World, views: Sequence[GroupView]) -> Json:
    """The status of a run that reached its end."""
    status = _common(world, views)
    where = (status.get("output") or {}).get("uri")
    words = f"finished; the result is in {where}" if where else "finished"
    status |= {"phase": "Complete", "message": words, "gpus": 0, "completionTime": stamp(world.now)}
    status["conditions"] = _conditions(world, Complete=("True", "Finished", words))
    status["progress"] = {
        **{key: value for key, value in (status.get("progress") or {}).items() if key != "eta"},
        "percent": 100,
        "display": "100%",
    }
    for gone in ("reason", "stage", "failure"):
        status.pop(gone, None)
    return _clean(status)


def failed(world: World, views: Sequence[GroupView], ruling: Ruling) -> Json:
    """The status of a run that cannot go on, with the cause and the cure."""
    status = _common(world, views) if views else dict(world.run.status)
    stage = ruling.stage or next((one.group.stages[0] for one in views if one.last_ruling is ruling), None)
    attempt = next((one.attempt for one in views if stage in one.group.stages), None)
    status["observedGeneration"] = world.run.generation
    for entry in status.get("stages", {}).values():
        if entry["state"] in ("Waiting", "Queued"):
            entry["state"] = "Skipped"
        elif entry["state"] == "Running":
            entry |= {"state": "Failed", "completionTime": stamp(world.now)}
    if stage and stage in status.get("stages", {}):
        status["stages"][stage] |= {"state": "Failed", "message": ruling.message[:512]}
    where = f" in {stage}" if stage else ""
    rank = f", rank {ruling.rank}" if ruling.rank is not None else ""
    words = f"{ruling.reason}{where}{rank}: {ruling.message}"
    words = f"{words}; {ruling.hint}" if ruling.hint else words
    status |= {
        "phase": "Failed",
        "reason": ruling.reason,
        "message": words[:1024],
        "gpus": 0,
        "completionTime": stamp(world.now),
        "failure": _failure(ruling, stage, attempt),
    }
    if stage:
        status["stage"] = stage
    status["conditions"] = _conditions(world, Failed=("True", ruling.reason, words[:1024]))
    return _clean(status)


def held_back(run: ObservedRun, missing: Sequence[str]) -> Json:
    """The status of a run that is not started, since the cluster's CRD is older than the operator."""
    fields = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
    words = f"the cluster's CRD is older than the operator and lacks {fields}; apply the CRD of this release"
    return {**run.status, "phase": "Pending", "reason": "SchemaBehind", "message": words}


def stamp(moment: datetime) -> str:
    """A moment as the API server writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _common(world: World, views: Sequence[GroupView]) -> Json:
    old = world.run.status
    status: Json = {**old, "observedGeneration": world.run.generation}
    status.setdefault("startTime", stamp(world.now))
    status["stages"] = {**(old.get("stages") or {}), **dict(_stages(world, views))}
    for report in _reports(world, views):
        said = report.model_dump(mode="json", by_alias=True, exclude_none=True)
        status |= {name: said[name] for name in FRAGMENTS if said.get(name)}
    charged = [one for one in views if one.last_ruling is not None]
    for one in charged:
        ruling = one.last_ruling
        assert ruling is not None
        status["failure"] = _failure(ruling, ruling.stage or one.group.stages[0], one.attempt)
    return status


def _reports(world: World, views: Sequence[GroupView]) -> Iterator[PodReport]:
    """What pods said, oldest group first; a termination message after what was said at work."""
    for one in views:
        for pod in one.pods:
            told = world.told.get(pod.name)
            if pod.report is not None:
                yield pod.report
            elif told is not None and told.progress.report is not None:
                yield told.progress.report


def _stages(world: World, views: Sequence[GroupView]) -> Iterator[tuple[str, Json]]:
    old = world.run.status.get("stages") or {}
    for one in views:
        said: Json = {}
        for pod in one.pods:
            told = world.told.get(pod.name)
            report = pod.report or (told.progress.report if told else None)
            said |= report.model_dump(mode="json", by_alias=True, exclude_none=True)["stages"] if report else {}
        at_work = _at_work(world, one)
        ahead = True
        for name in one.group.stages:
            before = dict(old.get(name) or {})
            if before.get("state") in DONE:
                yield name, before
                continue
            entry = _stage(world, one, name, said.get(name), at_work=at_work, first=ahead)
            ahead = ahead and entry["state"] in DONE
            yield name, entry


def _at_work(world: World, one: GroupView) -> str | None:
    """The stage that a running pod of the group says it works at."""
    last = _newest(world, [pod for pod in one.pods if not pod.is_over])
    return last.progress.stage if last else None


def _newest(world: World, pods: Iterable[ObservedPod]) -> Told | None:
    """What was heard last of these pods."""
    told = [world.told[pod.name] for pod in pods if pod.name in world.told]
    return max(told, key=lambda each: each.heard, default=None)


def _stage(world: World, one: GroupView, name: str, said: Json | None, *, at_work: str | None, first: bool) -> Json:
    """One stage's entry. `first`: the stages before it in its pod are done."""
    before = (world.run.status.get("stages") or {}).get(name) or {}
    same = before.get("attempt") == one.attempt
    entry: Json = {key: before[key] for key in ("key", "startTime", "done", "total") if same and key in before}
    if one.attempt:
        entry["attempt"] = one.attempt
    if said is not None and said["state"] in (*DONE, "Failed"):
        entry |= {key: said[key] for key in ("state", "key", "message", "done", "total") if said.get(key) is not None}
        entry.setdefault("startTime", _started(world, one))
        entry["completionTime"] = before.get("completionTime") if same else None
        entry["completionTime"] = entry["completionTime"] or stamp(world.now)
        if entry["state"] == "Failed" and one.phase == "succeeded":
            entry["state"] = "Succeeded"
        return entry
    if one.phase == "succeeded":
        return entry | {"state": "Succeeded", "completionTime": stamp(world.now)}
    ruling = one.last_ruling
    if one.phase == "failed" and ruling is not None and (ruling.stage or one.group.stages[0]) == name:
        return entry | {"state": "Queued", "message": f"{ruling.reason}: {ruling.message}; tried again"[:512]}
    if one.phase == "running" and (at_work == name or (at_work is None and first)):
        entry |= {"state": "Running", **_figures(world, one)}
        entry.setdefault("startTime", _started(world, one))
        return entry
    if one.phase in ("starting", "stopping", "due", "failed") and first:
        words = one.wait.message if one.wait and _waited_s(world, one) > SAY_WHY_AFTER_S else ""
        return entry | {"state": "Queued"} | ({"message": words[:512]} if words else {})
    return entry | {"state": "Waiting"}


def _figures(world: World, one: GroupView) -> Json:
    """How far the stage at work is, from the pod that spoke last."""
    last = _newest(world, one.pods)
    if last is None:
        return {}
    found: Json = {"done": last.progress.done, "total": last.progress.total}
    return {key: value for key, value in found.items() if value is not None}


def _started(world: World, one: GroupView) -> str:
    started = [pod.started for pod in one.pods if pod.started is not None]
    return stamp(min(started, default=world.now))


def _waited_s(world: World, one: GroupView) -> float:
    return (world.now - one.job.created).total_seconds() if one.job else 0.0


def _phase(world: World, views: Sequence[GroupView], stages: Mapping[str, Json]) -> Json:
    """Phase, stage, reason, message and gpus."""
    running = [name for name, entry in stages.items() if entry["state"] == "Running"]
    gpus = sum(_gpus(world, one) for one in views)
    if running:
        return {"phase": PHASE[running[-1]], "stage": running[-1], "gpus": gpus} | _words(world, views, running[-1])
    begun = [one for one in views if one.phase in ("starting", "stopping", "due", "failed")]
    one = begun[-1] if begun else views[0]
    stage = next((name for name in one.group.stages if stages[name]["state"] not in DONE), one.group.stages[-1])
    said: Json = {"phase": "Pending", "stage": stage, "gpus": gpus, "reason": None, "message": f"{stage} starts"}
    if one.attempt > 1 or any(entry["state"] in DONE for entry in stages.values()):
        said["phase"] = PHASE[stage]
    if one.wait is not None and (one.wait.reason == "WaitingForQuota" or _waited_s(world, one) > SAY_WHY_AFTER_S):
        said |= {"reason": one.wait.reason, "message": f"{stage} waits: {one.wait.message}"[:1024]}
        said["phase"] = "Queued" if one.wait.reason in ("WaitingForQuota", "Unschedulable") else said["phase"]
    elif one.last_ruling is not None:
        ruling = one.last_ruling
        charged = "" if ruling.charge == "user" else " (not charged)"
        words = f"attempt {one.attempt} of {stage} ended: {ruling.reason}{charged}: {ruling.message}; tried again"
        said |= {"reason": ruling.reason, "message": words[:1024]}
    return said


def _words(world: World, views: Sequence[GroupView], stage: str) -> Json:
    """What the stage at work does, in a sentence."""
    one = next(view for view in views if stage in view.group.stages)
    last = _newest(world, one.pods)
    again = f"; attempt {one.attempt}" if one.attempt > 1 else ""
    why = next((ruling for number, ruling in sorted(one.rulings.items(), reverse=True) if number < one.attempt), None)
    again += f" after {why.reason}{'' if why.charge == 'user' else ' (not charged)'}" if why else ""
    if last is None or not last.progress.total:
        return {"reason": None, "message": f"{stage} is at work{again}"}
    progress = last.progress
    speed = progress.figures.get("tokensPerSecond")
    gpus = _gpus(world, one)
    fast = f"; {speed:,.0f} tokens/s" if isinstance(speed, int | float) else ""
    fast += f" on {gpus} GPUs" if fast and gpus else ""
    unit = "step" if stage == "train" else progress.unit or "part"
    return {
        "reason": None,
        "message": f"{stage}: {unit} {progress.done or 0:,} of {progress.total:,}{fast}{again}",
    }


def _gpus(world: World, one: GroupView) -> int:
    """GPUs that pods of the group hold now."""
    assert world.spec is not None
    held = [pod for pod in one.pods if pod.node is not None and not pod.is_over]
    each = world.spec.cluster.gpus_per_node if one.group.is_gang else _stage_gpus(world, one)
    return each * len(held)


def _stage_gpus(world: World, one: GroupView) -> int:
    assert world.spec is not None
    return max(getattr(world.spec.cluster.stages, name).gpus or 0 for name in one.group.stages)


def _progress(world: World, views: Sequence[GroupView], status: Json) -> Json:
    old = dict(status.get("progress") or {})
    last = _newest(world, [pod for one in views for pod in one.pods if not pod.is_over])
    share = percent(status["stages"])
    most = max(share, old.get("percent") or 0)
    said: Json = old | {"percent": most, "display": display(most)}
    if last is None:
        return said
    figures = last.progress.figures
    if last.progress.stage == "train":
        said |= _training_figures(last.progress.done, figures)
    said["time"] = stamp(last.heard)
    said["eta"] = eta(last)
    return said


def _training_figures(step: int | None, figures: Mapping[str, Any]) -> Json:
    wanted = {
        "step": step,
        "epoch": figures.get("epoch"),
        "loss": _rounded(figures.get("loss"), 4),
        "validationLoss": _rounded(figures.get("validationLoss"), 4),
        "learningRate": figures.get("learningRate"),
        "tokensPerSecond": _rounded(figures.get("tokensPerSecond"), None),
    }
    return {key: value for key, value in wanted.items() if isinstance(value, int | float)}


def _rounded(value: Any, digits: int | None) -> Any:
    return round(value, digits) if isinstance(value, int | float) else None


def _failure(ruling: Ruling, stage: str | None, attempt: int | None) -> Json:
    found: Json = {
        "reason": ruling.reason,
        "message": ruling.message[:1024],
        "hint": ruling.hint[:512] or None,
        "stage": stage,
        "attempt": attempt,
        "rank": ruling.rank,
        "node": ruling.node,
        "step": ruling.step,
    }
    return {key: value for key, value in found.items() if value is not None}


def _conditions(world: World, **wanted: tuple[str, str, str]) -> list[Json]:
    """The old conditions with the wanted ones set; the time of a transition moves only with the status."""
    conditions = {item["type"]: dict(item) for item in world.run.status.get("conditions") or ()}
    for kind, (value, why, message) in wanted.items():
        before = condition(world.run.status, kind) or {}
        rested = before.get("status") == "True" or before.get("reason") == "Resumed"
        reason = "Resumed" if why == "Started" and rested else why
        same = before.get("status") == value
        conditions[kind] = {
            "type": kind,
            "status": value,
            "reason": reason,
            "message": message,
            "lastTransitionTime": before["lastTransitionTime"] if same else stamp(world.now),
            "observedGeneration": world.run.generation,
        }
    return [conditions[kind] for kind in sorted(conditions)]


def _clean(value: Json) -> Json:
    """Without absent values."""
    return {key: _clean(item) if isinstance(item, dict) else item for key, item in value.items() if item is not None}
