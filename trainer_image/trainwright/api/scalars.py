"""Kinds of text and numbers that fields are made of: URIs, durations, quantities, names of Kubernetes objects, shares.

Each kind of text has one regular expression, used whole: `^(…)$` for the API server's RE2, `fullmatch` here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"
NAME_MESSAGE = (
    "must be 1 to 40 characters of a-z, 0-9 and '-', begin with a letter and end with a letter or digit:"
    " Jobs and Services are named after it"
)
DNS_PATTERN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL_NAME_PATTERN = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_KEY_PATTERN = rf"({DNS_PATTERN}/)?{LABEL_NAME_PATTERN}"
LABEL_KEY_LENGTH = 317
QUANTITY_PATTERN = r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?"
KIND_OF_VALUE = "x-kind"
"""Key in a JSON schema under which documentation finds what to call a value; it is no part of the CRD."""
LOCAL_PATTERN = r"(file:|\.)[^\n]*"
# What a blank is differs between RE2 and Python, so it is spelt out: controls, space and the no-break space.
_BLANKS = r"\x00-\x20\x7f-\xa0"
NO_BLANK = f"[^{_BLANKS}]"


def text_like(
    rule: str, pattern: str, message: str, max_length: int, *, kind: str, min_length: int = 1, cluster_message: str = ""
) -> tuple[Any, ...]:
    """Make the metadata of a text that `pattern` must match whole; `kind` is what documentation calls it.

    With `cluster_message`, paths on one machine are refused where the validation context says `cluster`.
    """
    expression, local = re.compile(pattern), re.compile(LOCAL_PATTERN)

    def check(value: str, info: ValidationInfo) -> str:
        if not expression.fullmatch(value):
            raise broken(rule, message)
        if cluster_message and is_for_cluster(info) and local.fullmatch(value):
            raise broken(f"{rule}-cluster", cluster_message)
        return value

    validations = [cel_match(f"^({pattern})$", message)]
    if cluster_message:
        validations.append(cel_match(f"^({LOCAL_PATTERN})$", cluster_message, negated=True))
    extra: dict[str, Any] = {KIND_OF_VALUE: kind, "x-kubernetes-validations": validations}
    return (Field(min_length=min_length, max_length=max_length, json_schema_extra=extra), AfterValidator(check))


def broken(rule: str, message: str) -> PydanticCustomError:
    """Make the error of a broken rule; `trainwright.api.validation` reads rule and message from it."""
    return PydanticCustomError("rule", "{message}", {"rule": rule, "message": message})


def is_for_cluster(info: ValidationInfo) -> bool:
    """Say whether the spec is judged for a cluster."""
    return bool(info.context and info.context.get("cluster"))


def cel_text(text: str) -> str:
    """Quote a text for CEL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def cel_match(pattern: str, message: str, *, negated: bool = False) -> dict[str, str]:
    """Make the API server's rule for a text, with the value in its message."""
    return {
        "rule": f"{'!' if negated else ''}self.matches({cel_text(pattern)})",
        "messageExpression": f"'\\'' + self + '\\' ' + {cel_text(message)}",
        "message": message,
        "reason": "FieldValueForbidden",
    }


def _check_label_key(value: str) -> str:
    if not re.fullmatch(LABEL_KEY_PATTERN, value):
        raise broken("label-key", LABEL_KEY_MESSAGE)
    return value


def _check_quantity(value: Any) -> int | str:
    if isinstance(value, str) and len(value) <= 32 and re.fullmatch(QUANTITY_PATTERN, value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise broken("quantity", QUANTITY_MESSAGE)


LABEL_KEY_MESSAGE = "is no label key: [PREFIX/]NAME of letters, digits, '-', '_' and '.'"
QUANTITY_MESSAGE = "must be a quantity such as 8, 500m, 64Gi, 1.5Ti"
_LABEL_KEYS: dict[str, Any] = {
    KIND_OF_VALUE: "map of labels",
    "x-kubernetes-validations": [
        {
            "rule": f"self.all(k, k.size() <= {LABEL_KEY_LENGTH} && k.matches({cel_text(f'^({LABEL_KEY_PATTERN})$')}))",
            "message": f"one of the keys {LABEL_KEY_MESSAGE}",
            "reason": "FieldValueForbidden",
        }
    ],
}
_QUANTITY = {
    KIND_OF_VALUE: "quantity",
    "x-kubernetes-int-or-string": True,
    "maxLength": 32,
    "x-kubernetes-validations": [
        {
            "rule": f"type(self) == int ? self >= 0 : self.matches({cel_text(f'^({QUANTITY_PATTERN})$')})",
            "messageExpression": f"'\\'' + string(self) + '\\' ' + {cel_text(QUANTITY_MESSAGE)}",
            "message": QUANTITY_MESSAGE,
            "reason": "FieldValueForbidden",
        }
    ],
}

Uri = Annotated[
    str,
    *text_like(
        "uri",
        rf"(hf|s3|gs|az|https|pvc|pkg)://[^{_BLANKS}/]{NO_BLANK}*|file:///{NO_BLANK}*|\.{{1,2}}/{NO_BLANK}*",
        "is no URI we read: write hf://ORG/NAME[@REVISION][/PATH], s3://BUCKET/PATH, gs://, az://, https://,"
        " pvc://CLAIM/PATH, pkg://PYTHON_PACKAGE/PATH, file:///PATH or ./PATH",
        1024,
        cluster_message="is a path on one machine, which pods cannot see: use pvc://CLAIM/PATH, s3://, gs://, az://, hf://,"
        " https:// or pkg://",
        kind="URI",
    ),
]
OutputUri = Annotated[
    str,
    *text_like(
        "output-uri",
        rf"(s3|gs|az|pvc)://[^{_BLANKS}/]{NO_BLANK}*|file:///{NO_BLANK}*|\.{{1,2}}/{NO_BLANK}*",
        "is no place we write to: use s3://BUCKET/PREFIX, gs://, az://, pvc://CLAIM/PATH, file:///PATH or ./PATH",
        1024,
        cluster_message="is a path on one machine, which pods cannot see: use s3://, gs://, az:// or pvc://CLAIM/PATH",
        kind="URI to write to",
    ),
]
ImageRef = Annotated[
    str,
    *text_like(
        "image",
        rf"[a-zA-Z0-9]{NO_BLANK}*",
        "is no image reference: write registry/name:tag or registry/name@sha256:…",
        512,
        kind="image reference",
    ),
]
Duration = Annotated[
    str,
    *text_like(
        "duration",
        r"([0-9]+h)?([0-9]+m)?([0-9]+s)?",
        "is no duration: write hours, minutes and seconds as in 90s, 30m or 1h30m",
        32,
        min_length=2,
        kind="duration",
    ),
]
ObjectName = Annotated[
    str,
    *text_like(
        "object-name",
        DNS_PATTERN,
        "is no name of a Kubernetes object: use a-z, 0-9, '-' and '.'",
        253,
        kind="name of an object",
    ),
]
ResourceName = Annotated[
    str,
    *text_like(
        "resource-name",
        rf"{DNS_PATTERN}/{LABEL_NAME_PATTERN}",
        "is no name of an extended resource: write PREFIX/NAME as in nvidia.com/gpu",
        253,
        kind="name of a resource",
    ),
]
LabelValue = Annotated[
    str,
    *text_like(
        "label-value",
        r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?",
        "is no label value: letters, digits, '-', '_' and '.'",
        63,
        min_length=0,
        kind="label value",
    ),
]
WebUrl = Annotated[
    str, *text_like("url", rf"https?://{NO_BLANK}+", "is no URL: write http(s)://HOST[:PORT]", 1024, kind="URL")
]
LabelKey = Annotated[str, Field(min_length=1, max_length=LABEL_KEY_LENGTH), AfterValidator(_check_label_key)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=32, json_schema_extra=_LABEL_KEYS)]
Annotations = Annotated[
    dict[LabelKey, Annotated[str, Field(max_length=4096)]],
    Field(max_length=32, json_schema_extra={**_LABEL_KEYS, KIND_OF_VALUE: "map of annotations"}),
]
Quantity = Annotated[int | str, PlainValidator(_check_quantity), WithJsonSchema(_QUANTITY)]
Share = Annotated[float, Field(ge=0, le=1)]
RowCount = Annotated[int, Field(ge=1, le=2_000_000_000)]
Seconds = Annotated[int, Field(ge=0, le=2_000_000_000)]
StepCount = Annotated[int, Field(ge=1, le=100_000_000)]
