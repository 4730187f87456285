"""The CustomResourceDefinition of TrainingRun v1alpha1, made from the models.

`crd()` gives the manifest, `crd_yaml()` its text; manifests/crd.yaml is the latter.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from trainwright.api.descriptions import description_of
from trainwright.api.run import KIND, Spec, TrainingRun
from trainwright.api.scalars import KIND_OF_VALUE, NAME_MESSAGE, NAME_PATTERN, cel_text
from trainwright.api.status import Status
from trainwright.api.structural import Schema, structural

GROUP = "trainwright.dev"
VERSION = "v1alpha1"
PLURAL = "trainingruns"

# name, type, path, whether only -o wide shows it
COLUMNS = (
    ("Phase", "string", ".status.phase", False),
    ("Stage", "string", ".status.stage", False),
    ("Progress", "string", ".status.progress.display", False),
    ("ETA", "string", ".status.progress.eta", False),
    ("Loss", "number", ".status.progress.loss", False),
    ("Reason", "string", ".status.reason", False),
    ("Age", "date", ".metadata.creationTimestamp", False),
    ("GPUs", "integer", ".status.gpus", True),
    ("Queue", "string", ".spec.cluster.queueName", True),
    ("Checkpoint", "integer", ".status.checkpoint.step", True),
    ("Message", "string", ".status.message", True),
)
SELECTABLE = (".status.phase", ".spec.cluster.queueName")
_HEADER = "# Generated from trainwright.api by `make reference`. Do not edit.\n"


def crd() -> dict[str, Any]:
    """Make the CustomResourceDefinition, as a manifest for Kubernetes 1.31 or newer."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "trainingrun",
                "shortNames": ["trun"],
                "categories": ["trainwright"],
            },
            "versions": [_version()],
        },
    }


def crd_yaml() -> str:
    """Write the CustomResourceDefinition as YAML, ready to apply."""
    return _HEADER + yaml.dump(crd(), Dumper=_PlainDumper, sort_keys=False, width=160, allow_unicode=True)


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}
            for name, kind, path, wide in COLUMNS
        ],
        "selectableFields": [{"jsonPath": path} for path in SELECTABLE],
        "schema": {"openAPIV3Schema": _root()},
    }


def _root() -> dict[str, Any]:
    name_rule = {
        "rule": f"self.metadata.name.matches({cel_text(f'^({NAME_PATTERN})$')})",
        "messageExpression": f"'\\'' + self.metadata.name + '\\' ' + {cel_text(NAME_MESSAGE)}",
        "message": NAME_MESSAGE,
        "reason": "FieldValueForbidden",
        "fieldPath": ".metadata.name",
    }
    return {
        "type": "object",
        "description": description_of(TrainingRun),
        "required": ["spec"],
        "x-kubernetes-validations": [name_rule],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            "spec": _for_api_server(structural(Spec)),
            "status": _for_api_server(structural(Status)),
        },
    }


def _for_api_server(node: Schema) -> Schema:
    """Tell defaults in the descriptions instead: the server would apply them on reading, and edit runs in flight."""
    made: Schema = {}
    if "description" in node:
        made["description"] = node["description"]
    for key, part in node.items():
        if key == "default":
            made["description"] += f" Default: {part if isinstance(part, str) else json.dumps(part)}."
        elif key == "properties":
            made[key] = {name: _for_api_server(member) for name, member in part.items()}
        elif key in ("items", "additionalProperties"):
            made[key] = _for_api_server(part)
        elif key != KIND_OF_VALUE:
            made[key] = part
    return made


class _PlainDumper(yaml.SafeDumper):
    """Writes every part out: kubectl reads anchors, people do not."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
