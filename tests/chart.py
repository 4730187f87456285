"""The chart and manifests/ as objects: rendered by the helm of the test cluster, read, and made comparable."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from testcluster import programs

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "trainwright"
MANIFESTS = ROOT / "manifests"
SYSTEM = "trainwright-system"
KUBERNETES = programs.PROGRAMS["kubectl"].version
HELMS_OWN = ("app.kubernetes.io/managed-by", "helm.sh/chart", "helm.sh/resource-policy")
"""Labels and annotations that only objects of a release have."""

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace and name."""


class HelmError(RuntimeError):
    """helm ended with an exit code other than 0; the message has what it said."""


def helm_program(needs: Callable[[str], str]) -> Path:
    """Find helm, or build it if Go is here; the test is skipped otherwise."""
    if programs.find("helm") is None:
        needs("go")
    return programs.build(["helm"])["helm"]


def rendered(helm: Path, *arguments: str, namespace: str = SYSTEM) -> dict[Key, Object]:
    """Render the chart. Raises: HelmError with what helm said."""
    command = [str(helm), "template", "trainwright", str(CHART), "-n", namespace, "--kube-version", KUBERNETES]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(done.stderr)
    return by_key(done.stdout)


def plain() -> dict[Key, Object]:
    """What `kubectl apply -f manifests/` applies."""
    found: dict[Key, Object] = {}
    for path in sorted(MANIFESTS.glob("*.yaml")):
        found |= by_key(path.read_text("utf-8"))
    return found


def by_key(text: str) -> dict[Key, Object]:
    """Read a stream of YAML documents."""
    objects = [each for each in yaml.load_all(text, yaml.CSafeLoader) if each is not None]
    keyed = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in objects}
    assert len(keyed) == len(objects), "an object is there twice"
    return keyed


def without_helm(given: Mapping[Key, Object]) -> dict[Key, Object]:
    """Take away what marks objects as parts of a release."""
    return {key: _without_helm(each) for key, each in given.items()}


def containers(objects: Mapping[Key, Object]) -> Iterator[tuple[Object, Object]]:
    """Every pod spec, with each of its containers."""
    for each in objects.values():
        pod = each.get("spec", {}).get("template", {}).get("spec") if each["kind"] == "Deployment" else None
        for container in pod["containers"] + pod.get("initContainers", []) if pod else ():
            yield pod, container


def _without_helm(given: Object) -> Object:
    meta = dict(given["metadata"])
    for part in ("labels", "annotations"):
        kept = {name: value for name, value in (meta.pop(part, None) or {}).items() if name not in HELMS_OWN}
        if kept:
            meta[part] = kept
    return {**given, "metadata": meta}
