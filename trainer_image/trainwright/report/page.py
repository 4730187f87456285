"""The page: sections of figures through jinja2 templates into one HTML file that needs nothing else.

Every text is escaped by the templates, and a content security policy by hash lets the page's own style and script run
and nothing else: no request, no handler, no script that came with a row.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import jinja2

from trainwright import __version__
from trainwright.artifacts import Inputs, write_json
from trainwright.contract import Report, RunConfig
from trainwright.report.metrics import metrics_of
from trainwright.report.outputs import Outputs
from trainwright.report.sections import SECTIONS
from trainwright.report.sections.summary import summary

TEMPLATES = Path(__file__).with_name("templates")


def write_page(config: RunConfig, inputs: Inputs, output: Path, *, examples: bool) -> Report:
    """Write report.html and metrics.json into `output`, each whole or not at all."""
    outputs = Outputs.read(config, inputs, examples=examples)
    write_json(output / "metrics.json", metrics_of(outputs))
    html = render(outputs)
    temporary = output / f".report.html.{os.getpid()}.tmp"
    temporary.write_text(html, "utf-8")
    temporary.replace(output / "report.html")
    return Report(message=f"report of {len(inputs)} stages", counts={"stages": len(inputs)}, metrics={})


def render(outputs: Outputs) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((TEMPLATES / name).read_text("utf-8") for name in ("style.css", "readout.js"))
    found = [(name, title, section(outputs)) for name, title, section in SECTIONS]
    return environment.get_template("report.html.j2").render(
        summary=summary(outputs),
        sections=[{"name": name, "title": title, "shown": shown} for name, title, shown in found if shown is not None],
        style=style,
        script=script,
        policy=_policy(style, script),
        version=__version__,
    )


def _policy(style: str, script: str) -> str:
    """What a browser lets the page do: its own style and script by their digests, and an empty icon."""
    return (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'"
    )


def _source(text: str) -> str:
    """The policy's name for an inline text: its SHA-256."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
