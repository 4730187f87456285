"""A run on a cluster, by way of kubectl: what `trainwright status|logs|suspend|resume|retry` do.

kubectl's own context and rights hold; nothing here talks to an API server itself.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from trainwright.contract import STAGES
from trainwright.errors import BadInput, RetryLater

LABEL = "trainwright.dev/run"
GROUP_LABEL = "trainwright.dev/group"
Json = dict[str, Any]


def status_lines(name: str, namespace: str | None) -> Iterator[str]:
    """Tell how a run stands: phase, stages, and what went wrong with the cure."""
    run = get_run(name, namespace)
    status = run.get("status") or {}
    yield f"{name}: {status.get('phase', 'not seen by an operator yet')}"
    if status.get("message"):
        yield f"  {status['message']}"
    for stage in STAGES:
        entry = (status.get("stages") or {}).get(stage.name)
        if entry is not None:
            yield f"  {stage.name:<9} {entry.get('state', ''):<10} {_words(entry)}".rstrip()
    failure = status.get("failure")
    if failure:
        yield f"  {failure['reason']} in {failure.get('stage', 'the spec')}: {failure['message']}"
        yield f"  → {failure.get('hint') or 'see kubectl describe'}"


def _words(entry: Mapping[str, Any]) -> str:
    done, total = entry.get("done"), entry.get("total")
    far = f"{done or 0:,} of {total:,}" if total else ""
    again = f"attempt {entry['attempt']}" if entry.get("attempt", 1) > 1 else ""
    return "  ".join(word for word in (far, again, entry.get("message", "")) if word)


def follow_logs(name: str, namespace: str | None, *, group: str | None, follow: bool) -> int:
    """Print the log of the pod that began last (of a group: data, index, train, finish); kubectl's exit code."""
    selector = f"{LABEL}={name}" + (f",{GROUP_LABEL}={group}" if group else f",{GROUP_LABEL}!=weaviate")
    pods = json.loads(_run("get", "pods", *_in(namespace), "-l", selector, "-o", "json"))["items"]
    if not pods:
        raise RetryLater(f"{name} has no pod{f' of {group}' if group else ''} now", hint=f"trainwright status {name}")
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))["metadata"]["name"]
    return subprocess.call([_kubectl(), "logs", *_in(namespace), newest, *(["--follow"] if follow else [])])


def suspend(name: str, namespace: str | None, *, suspended: bool) -> str:
    """Set spec.suspend and return kubectl's answer."""
    patch = json.dumps({"spec": {"suspend": suspended}})
    return _run("patch", "trainingrun", name, *_in(namespace), "--type", "merge", "-p", patch).strip()


def retry_manifest(name: str, namespace: str | None, changes: Mapping[str, Any], new_name: str | None) -> Json:
    """The TrainingRun that goes on from a failed one's workspace, with some fields changed (`cluster.microBatch` …).

    Raises:
        BadInput: the run did not fail, or has no workspace to go on from.
    """
    run = get_run(name, namespace)
    phase = (run.get("status") or {}).get("phase")
    if phase != "Failed":
        raise BadInput(f"{name} is {phase or 'new'}, not Failed", hint="only a failed run is tried again")
    spec: Json = run["spec"]
    workspace = spec.setdefault("cluster", {}).setdefault("workspace", {})
    if "uri" not in workspace:
        workspace.setdefault("claimName", f"{name}-workspace")
        for own in ("storage", "storageClassName"):
            workspace.pop(own, None)
    for path, value in changes.items():
        _set(spec, path.split("."), value)
    spec.pop("suspend", None)
    metadata = {"name": new_name or _next_name(name), "namespace": run["metadata"]["namespace"]}
    labels = run["metadata"].get("labels")
    return {
        "apiVersion": run["apiVersion"],
        "kind": run["kind"],
        "metadata": metadata | ({"labels": labels} if labels else {}),
        "spec": spec,
    }


def apply(manifest: Json) -> str:
    """Create the object and return kubectl's answer."""
    return _run("create", "-f", "-", stdin=json.dumps(manifest)).strip()


def changes_of(options: list[str]) -> dict[str, Any]:
    """Read `--set path=value`; values are YAML.

    Raises:
        BadInput: one has no `=`.
    """
    changes = {}
    for option in options:
        path, separator, value = option.partition("=")
        if not separator or not path:
            raise BadInput(f"--set {option}: not of the form FIELD=VALUE", hint="--set cluster.microBatch=2")
        changes[path.removeprefix("spec.")] = yaml.safe_load(value)
    return changes


def get_run(name: str, namespace: str | None) -> Json:
    """The TrainingRun as the API server has it."""
    run: Json = json.loads(_run("get", "trainingrun", name, *_in(namespace), "-o", "json"))
    return run


def _next_name(name: str) -> str:
    """chat → chat-2 → chat-3, within 40 characters."""
    stem, _, number = name.rpartition("-")
    stem, count = (stem, int(number) + 1) if stem and number.isdigit() else (name, 2)
    return f"{stem[: 40 - len(str(count)) - 1]}-{count}"


def _set(spec: Json, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        spec = spec.setdefault(part, {})
    spec[path[-1]] = value


def _in(namespace: str | None) -> list[str]:
    return ["-n", namespace] if namespace else []


def _run(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run([_kubectl(), *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(done.stderr.strip() or f"kubectl {arguments[0]} failed", hint="check name, -n and the context")
    return done.stdout


def _kubectl() -> str:
    found = shutil.which("kubectl")
    if found is None:
        raise BadInput("kubectl is not on PATH", hint="install kubectl; this command only calls it")
    return found
