"""A model as the structural schema that the API server wants: no references, no unions, bounds and CEL rules inline.

pydantic's JSON schema goes in; descriptions come from the docstrings, rules from the models. Literal defaults and names
of kinds of values are kept for documentation; `schema` tells the former in the descriptions and drops the latter.
"""

from __future__ import annotations

from typing import Any

from trainwright.api.descriptions import description_of, descriptions
from trainwright.api.rules import ApiModel, Rule, UpdateRule
from trainwright.api.walk import fields

Schema = dict[str, Any]

_KEPT = (
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
)
_EXTENSION = "x-"


def structural(model: type[ApiModel]) -> Schema:
    """Make the schema of a model and all models in it."""
    raw = model.model_json_schema(by_alias=True)
    return _object(model, raw, raw.get("$defs", {}))


def _object(model: type[ApiModel], node: Schema, definitions: Schema) -> Schema:
    texts, inner = descriptions(model), fields(model)
    properties: Schema = {}
    for name, raw in node.get("properties", {}).items():
        schema = _member(raw, inner[name], definitions)
        properties[name] = {**schema, "description": texts.get(name, "")}
        if raw.get("default") not in (None, [], {}):
            properties[name]["default"] = raw["default"]
    schema = {"type": "object", "description": description_of(model)}
    if required := [name for name in node.get("required", []) if name in properties]:
        schema["required"] = required
    if properties:
        schema["properties"] = properties
    rules: tuple[Rule | UpdateRule, ...] = (*model.rules, *model.update_rules)
    if rules:
        schema[f"{_EXTENSION}kubernetes-validations"] = [_rule(rule) for rule in rules]
    return schema


def _member(node: Schema, model: type[ApiModel] | None, definitions: Schema) -> Schema:
    """Make the schema of one value: an object, a list, a map or a scalar."""
    node = _without_null(node)
    if model is not None and "$ref" in node:
        return _object(model, definitions[_name(node["$ref"])], definitions)
    if node.get(f"{_EXTENSION}kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}], **_kept(node)}
    schema = _kept(node)
    if "const" in node:
        schema.update(type="string", enum=[node["const"]])
    if node.get("type") == "array":
        schema["items"] = _member(node["items"], model, definitions)
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _kept(node["additionalProperties"])
    return schema


def _without_null(node: Schema) -> Schema:
    """Unwrap `X | None`: null is absent."""
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    if len(options) != 1:
        return node
    return _without_null({**options[0], **{key: part for key, part in node.items() if key.startswith(_EXTENSION)}})


def _kept(node: Schema) -> Schema:
    schema = {key: node[key] for key in node if key in _KEPT or key.startswith(_EXTENSION)}
    for limit in ("minimum", "maximum"):
        exclusive = f"exclusive{limit.capitalize()}"
        if exclusive in node:
            # OpenAPI 3.0 says it with a boolean.
            schema[limit], schema[exclusive] = node[exclusive], True
        if limit in schema and float(schema[limit]).is_integer():
            schema[limit] = int(schema[limit])
    return schema


def _rule(rule: Rule | UpdateRule) -> Schema:
    made = {"rule": rule.cel, "message": rule.message, "reason": rule.reason}
    return {**made, "fieldPath": f".{rule.field}"} if rule.field else made


def _name(reference: str) -> str:
    return reference.rsplit("/", 1)[1]
