"""The page: sections of figures through jinja2 templates into one HTML file that needs nothing else.

Every text is escaped by the templates; the page carries a policy that allows no request and no script but its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2

from trainwright.artifacts import Inputs, write_json
from trainwright.contract import Report, RunConfig
from trainwright.report.metrics import metrics_of
from trainwright.report.outputs import Outputs

TEMPLATES = Path(__file__).with_name("templates")


def write_page(config: RunConfig, inputs: Inputs, output: Path, *, examples: bool) -> Report:
    """Write report.html and metrics.json into `output`, each whole or not at all."""
    outputs = Outputs.read(config, inputs, examples=examples)
    write_json(output / "metrics.json", metrics_of(outputs))
    html = render(outputs)
    temporary = output / f".report.html.{os.getpid()}.tmp"
    temporary.write_text(html, "utf-8")
    temporary.replace(output / "report.html")
    return Report(
        message=f"report.html and metrics.json of {len(inputs)} stages",
        counts={"stages": len(inputs), "bytes": len(html.encode())},
        metrics={},
    )


def render(outputs: Outputs) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values: dict[str, Any] = {"name": outputs.config.name, "metrics": metrics_of(outputs)}
    return environment.get_template("report.html.j2").render(values)
