"""Generates what is made from the models: docs/reference/, and the CRD for kubectl and for Helm.

`python -m trainwright.api.reference` in the repository's root writes the files; a test keeps them current.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trainwright.api.descriptions import description_of
from trainwright.api.field_table import FieldRow, field_table
from trainwright.api.not_built import NOT_BUILT
from trainwright.api.rules import UpdateRule
from trainwright.api.run import Spec
from trainwright.api.schema import crd_yaml
from trainwright.api.spec_rules import FIXED
from trainwright.api.status import Status
from trainwright.api.walk import fields, rules_of

_GENERATED = "<!-- Generated from trainwright.api by `make reference`. Do not edit. -->\n"
_PARTS = (
    (
        "What is made",
        "Means the same everywhere, never changes, and decides which finished stages are reused (`output` aside).",
        FIXED,
    ),
    ("Where it runs", "Ignored on one machine; may change while the run is suspended.", ("cluster",)),
    (
        "How the run is treated",
        "May change at any time.",
        ("checkpoint", "suspend", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit"),
    ),
)
_SPEC_HEAD = """
# TrainingRun: the spec

`apiVersion: trainwright.dev/v1alpha1`, `kind: TrainingRun`. `metadata.name` has 1 to 40 characters of a-z, 0-9 and '-',
begins with a letter and ends with a letter or digit. Everything below stands under `spec`.

A field that is absent has the default that is written here, or is decided by the plan or a stage where the text says
so; `trainwright plan FILE` shows what was decided. Rows are counted in exchanges: a response with the turn before it.
**Not built yet** marks fields that `trainwright validate` warns of and that no run accepts.

Kinds of values:

- **URI**: `hf://ORG/NAME[@REVISION][/PATH]`, `hf://datasets/ORG/NAME`, `s3://`, `gs://`, `az://`, `https://`,
  `pvc://CLAIM/PATH` (a claim in the run's namespace; `--mount` on one machine), `pkg://PYTHON_PACKAGE/PATH` (a file in
  an installed package, which is never imported), `file:///PATH` and `./PATH` (relative to the YAML file). The last two
  name things of one machine and are refused on a cluster.
- **URI to write to**: one of `s3://`, `gs://`, `az://`, `pvc://`, `file:///` and `./`.
- **duration**: hours, minutes, seconds as in `90s`, `30m`, `1h30m`.
- **quantity**: as in Kubernetes: `8`, `500m`, `64Gi`, `1.5Ti`.
"""
_RULES_HEAD = """
## Rules

`trainwright validate` checks all of them, and so does the API server.

| of | when | rule |
|---|---|---|"""
_STATUS_HEAD = """
# TrainingRun: the status

What the operator writes; `kubectl get trun NAME -o yaml` shows it. Everything below stands under `status`. Where a
group is there, so are its **required** fields; everything else may be absent.

"""


def pages() -> Mapping[str, str]:
    """Make all generated files: path from the repository's root → text."""
    definition = crd_yaml()
    return {
        "docs/reference/trainingrun.md": spec_page(),
        "docs/reference/status.md": status_page(),
        "manifests/crd.yaml": definition,
        "charts/trainwright/files/crd.yaml": definition,
    }


def spec_page() -> str:
    """Document every field of the spec, and its rules."""
    rows = field_table(Spec)
    groups = {name: model for name, model in fields(Spec).items() if model is not None}
    parts = [_GENERATED, _SPEC_HEAD]
    for title, text, names in _PARTS:
        parts.append(f"\n## {title}\n\n{text}\n")
        if plain := [row for row in rows if row.path in names and row.path not in groups]:
            parts.append(f"\n{_table(plain)}")
        for name in names:
            if name in groups:
                inside = [row for row in rows if row.path.startswith(f"{name}.")]
                parts.append(f"\n### {name}\n\n{description_of(groups[name])}\n\n{_table(inside)}")
    return "".join([*parts, _rules()])


def status_page() -> str:
    """Document every field of the status."""
    return _GENERATED + _STATUS_HEAD + _table(field_table(Status))


def write(root: Path) -> None:
    """Write all generated files below the repository's root."""
    for name, text in pages().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _table(rows: list[FieldRow]) -> str:
    lines = ["| field | value | default | |", "|---|---|---|---|"]
    for row in rows:
        default = "**required**" if row.required else f"`{row.default}`" if row.default else ""
        late = next((why for path, why in NOT_BUILT.items() if row.path == path), "")
        text = f"{row.text} **Not built yet**: {late}." if late else row.text
        lines.append(f"| `{row.path}` | {_cell(row.kind)} | {default} | {_cell(text)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _rules() -> str:
    """Tell the rules, those that say the same of several fields in one row."""
    places: dict[tuple[str, str], list[str]] = {}
    for path, rule in rules_of(Spec, ""):
        when = "on a change" if isinstance(rule, UpdateRule) else "on a cluster" if rule.cluster else ""
        field = ".".join(part for part in (path, rule.field) if part)
        places.setdefault((rule.message, when), []).append(f"`{field}`" if field else "the spec")
    lines = [f"| {', '.join(fields)} | {when} | {_cell(message)} |" for (message, when), fields in places.items()]
    return "\n".join([_RULES_HEAD, *lines]) + "\n"


if __name__ == "__main__":
    write(Path.cwd())
