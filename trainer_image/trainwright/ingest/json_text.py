"""Values kept as JSON text: exactly what the source has, never through columns of one type."""

from __future__ import annotations

import json
from typing import Any

import orjson

from trainwright.ingest.records import Unfit


def to_json(value: Any) -> str:
    """A value of a record as JSON text; dates become text."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))


def json_text(value: Any, name: str) -> str | None:
    """JSON text of a value that may be JSON text already; None where there is nothing.

    Raises:
        Unfit: it is text that is no JSON.
    """
    if isinstance(value, str) and value:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise Unfit("wrongType", f"{name} is text that is no JSON: {error.msg}") from error
    return to_json(value) if value else None
