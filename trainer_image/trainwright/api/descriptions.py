"""The docstring below each field of a model, read from the source, so that it costs nothing until it is asked for."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Mapping

from trainwright.api.rules import ApiModel


def description_of(model: type[ApiModel]) -> str:
    """What an object is, in one paragraph."""
    return _paragraph(model.__doc__ or "")


def descriptions(model: type[ApiModel]) -> Mapping[str, str]:
    """What each field is: the name users write → one paragraph."""
    texts = _of_module(model.__module__).get(model.__name__, {})
    return {field.alias or name: texts[name] for name, field in model.model_fields.items() if name in texts}


@functools.cache
def _of_module(module: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    texts: dict[str, str] = {}
    for statement, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            texts[statement.target.id] = _paragraph(below.value.value)
    return texts


def _paragraph(text: str) -> str:
    return " ".join(text.split())
