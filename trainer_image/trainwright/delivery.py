"""Brings a run's result and report where people look for them; called in every run, also when nothing was made."""

from __future__ import annotations

from collections.abc import Mapping

from trainwright import storage
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig
from trainwright.export import deliver_output


def deliver(config: RunConfig, finished: Mapping[str, Artifact]) -> str | None:
    """Deliver what is finished and return where the result lies; weights are not copied twice."""
    place = None
    if (export := finished.get("export")) is not None:
        place = deliver_output(config, export)
    if (report := finished.get("report")) is not None:
        pages = [report.folder / name for name in ("report.html", "metrics.json")]
        output = config.spec.output
        for uri in (config.folder.as_uri(), *([output.uri] if output else [])):
            storage.put_beside(pages, uri, config)
    return place
