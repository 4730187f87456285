"""Lineage: everything that is needed to make the same again: keys, digests, versions, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trainwright.report import wording
from trainwright.report.outputs import Outputs


def lineage(outputs: Outputs) -> dict[str, Any]:
    """Keys of the stages, digests of what went in and came out, versions, and the settings as JSON."""
    return {
        "stages": [
            {
                "name": name,
                "key": artifact.key,
                "version": str(artifact.done.get("version", "")),
                "attempt": str(artifact.done.get("attempt", "")),
                "finished": str(artifact.done.get("finished", "")).replace("T", " ").removesuffix("+00:00"),
                "memory": wording.size(artifact.done.get("peakMemoryBytes")),
                "cpu": wording.duration(artifact.done.get("cpuSeconds")),
            }
            for name, artifact in outputs.stages.items()
        ],
        "digests": _digests(outputs),
        "versions": sorted(_versions(outputs).items()),
        "settings": _settings(outputs),
        "places": [("Workdir", str(outputs.config.workdir)), ("Output", _output(outputs))],
    }


def _output(outputs: Outputs) -> str:
    """Where the result is delivered to."""
    wanted = outputs.config.spec.output
    return str(wanted.uri) if wanted else str(outputs.config.folder / "model")


def _digests(outputs: Outputs) -> list[tuple[str, str]]:
    named = [
        ("Weights at the start", outputs.metric("weights", "digest")),
        ("Prepared rows", outputs.metric("prepare", "fingerprint")),
        ("Embedding", outputs.metric("index", "digest")),
        ("Delivered model", outputs.metric("export", "digest")),
    ]
    for source in outputs.sources():
        named.append((wording.short_source(str(source.get("uri"))), source.get("digest")))
    return [(name, str(digest)) for name, digest in named if digest]


def _versions(outputs: Outputs) -> dict[str, str]:
    versions: dict[str, str] = {}
    for artifact in outputs.stages.values():
        stated = artifact.done.get("versions")
        if isinstance(stated, Mapping):
            versions |= {str(name): str(version) for name, version in stated.items()}
    return versions


def _settings(outputs: Outputs) -> str:
    """The settings as the stages saw them; probes are texts and go with the examples."""
    spec = outputs.config.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not outputs.examples:
        spec.get("evaluation", {}).pop("probes", None)
    return json.dumps(spec, indent=2, ensure_ascii=False)
