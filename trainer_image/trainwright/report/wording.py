"""Numbers and names as people read them. Everything takes None, for figures that a run does not have, and gives "–"."""

from __future__ import annotations

import math
import re
from typing import Any, TypeGuard

NOTHING = "–"


def is_number(value: Any) -> TypeGuard[float]:
    """Whether `value` is a finite number; figures from JSON may be null, NaN or text."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def count(value: Any) -> str:
    """A whole number: 131,699."""
    return f"{value:,.0f}" if is_number(value) else NOTHING


def compact(value: Any) -> str:
    """A large number in short: 134.5 M, 31.7 k, 846."""
    if not is_number(value):
        return NOTHING
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.1f} {unit}".replace(".0 ", " ")
    return count(value)


def figure(value: Any, digits: int = 4) -> str:
    """A measured figure with so many significant digits: 3.750, 0.0188, 1.50e-4."""
    if not is_number(value):
        return NOTHING
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{digits - 2}e}" if places > digits + 2 else f"{value:,.{max(0, places)}f}"


def factor(value: Any) -> str:
    """A number that someone chose, as they would write it: 5, 0.0015."""
    return f"{value:.4g}" if is_number(value) else NOTHING


def score(value: Any) -> str:
    """A figure from 0 to 1, such as BLEU, to three decimals."""
    return f"{value:.3f}" if is_number(value) else NOTHING


def share(value: Any) -> str:
    """A part of one as a percentage: 5.2 %; what is small but not nothing never shows as 0."""
    if not is_number(value):
        return NOTHING
    percent = value * 100
    if 0 < abs(percent) < 0.05:
        return "< 0.1 %"
    return f"{percent:.0f} %" if abs(percent) >= 99.95 or percent == 0 else f"{percent:.1f} %"


def duration(seconds: Any) -> str:
    """A time in its two largest units: 8.4 s, 2 min 35 s, 3 h 5 min, 2 d 4 h."""
    if not is_number(seconds) or seconds < 0:
        return NOTHING
    if 0 < seconds < 0.05:
        return "< 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    for size, unit, inner, inner_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // inner
            return f"{whole // size:,} {unit}" + (f" {rest} {inner_unit}" if rest else "")
    return NOTHING


def size(size_bytes: Any) -> str:
    """Bytes in decimal units: 271 MB, 85.1 MB, 1.2 GB."""
    if not is_number(size_bytes):
        return NOTHING
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= limit:
            value = size_bytes / limit
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{size_bytes:.0f} B"


def words_of(name: str) -> str:
    """A name in camelCase as words: nearDuplicate → near duplicate, bad.notText → bad, not text."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace(".", ", ").replace("_", " ").replace("-", " "))
    return spaced if spaced.isupper() else spaced.lower()


def title_of(name: str) -> str:
    """A name in camelCase as the beginning of a line: personalData → Personal data."""
    words = words_of(name)
    return words[:1].upper() + words[1:]


def short_source(name: str) -> str:
    """The telling end of a source's URI: pkg://chitchat_dataset/dataset.json → chitchat_dataset/dataset.json."""
    return name.partition("://")[2] or name
