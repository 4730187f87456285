"""Checksums of card, account and identity numbers, over many numbers at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.prepare.batch import Mask

Digits = npt.NDArray[np.int64]
IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FO FI GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
"""Length of an account number by country (ISO 13616 registry)."""


def digits_of(texts: pl.Series, width: int) -> Digits:
    """The digits of each text, right-aligned in `width` places filled with 0; shape (texts, width)."""
    bare = texts.str.replace_all(r"[^0-9]", "").str.tail(width).str.pad_start(width, "0")
    raw = np.frombuffer("".join(bare.to_list()).encode(), dtype=np.uint8)
    return raw.reshape(-1, width).astype(np.int64) - ord("0")


def luhn(texts: pl.Series) -> Mask:
    """Card numbers whose last digit fits (ISO/IEC 7812-1, annex B)."""
    digits = digits_of(texts, 20)
    doubled = digits[:, ::-1].copy()
    doubled[:, 1::2] *= 2
    doubled -= 9 * (doubled > 9)
    fits: Mask = doubled.sum(axis=1) % 10 == 0
    return fits


def iban(texts: pl.Series) -> Mask:
    """Account numbers whose check digits fit (ISO 7064, mod 97-10)."""
    compact = texts.str.replace_all(" ", "", literal=True).str.to_uppercase()
    moved = (compact.str.slice(4) + compact.str.head(4)).str.pad_start(34, "0")
    raw = np.frombuffer("".join(moved.to_list()).encode(), dtype=np.uint8).reshape(-1, 34).astype(np.int64)
    remainder = np.zeros(len(raw), dtype=np.int64)
    for place in range(34):
        is_letter = raw[:, place] >= ord("A")
        value = np.where(is_letter, raw[:, place] - ord("A") + 10, raw[:, place] - ord("0"))
        remainder = (remainder * np.where(is_letter, 100, 10) + value) % 97
    fits: Mask = remainder == 1
    return fits


def ean13(texts: pl.Series) -> Mask:
    """13-digit numbers whose last digit fits (GS1; the Swiss AHV number has the same)."""
    weights = np.array([1, 3] * 6 + [1])
    fits: Mask = (digits_of(texts, 13) * weights).sum(axis=1) % 10 == 0
    return fits


def cpf(texts: pl.Series) -> Mask:
    """Brazilian CPF numbers whose two last digits fit."""
    digits = digits_of(texts, 11)
    first = (digits[:, :9] * np.arange(10, 1, -1)).sum(axis=1) * 10 % 11 % 10
    second = (digits[:, :10] * np.arange(11, 1, -1)).sum(axis=1) * 10 % 11 % 10
    fits: Mask = (first == digits[:, 9]) & (second == digits[:, 10])
    return fits


def dni(texts: pl.Series) -> Mask:
    """Spanish DNI and NIE numbers whose letter fits."""
    upper = texts.str.to_uppercase()
    number = upper.str.head(-1).str.replace_many(["X", "Y", "Z"], ["0", "1", "2"])
    values = digits_of(number, 8) @ (10 ** np.arange(7, -1, -1))
    letters = np.array(list("TRWAGMYFPDXBNJZSQVHLCKE"))[values % 23]
    fits: Mask = upper.str.tail(1).to_numpy() == letters
    return fits
