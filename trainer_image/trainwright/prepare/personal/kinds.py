"""The kinds of personal data: what a candidate looks like, and which candidates are meant.

Shape alone would redact versions, timestamps, order numbers and dates: a candidate must also pass a checksum, name a
real range, or stand beside a word that says what it is. A digit, letter or point beside it makes it part of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from trainwright.prepare.personal import checksums

PIECE, BEFORE, AFTER = pl.col("piece"), pl.col("before"), pl.col("after")
DIGITS = PIECE.str.replace_all(r"[^0-9]", "")
ALONE = ~BEFORE.str.contains(r"[\w.\-/#:@]$") & ~AFTER.str.contains(r"^(?:[\w@#/]|[.\-:][0-9A-Za-z])")
CARD_WORDS = r"(?i)\b(?:card|visa|mastercard|amex|credit|debit|karte|carte|tarjeta)\b[^0-9]{0,30}$"
PHONE_WORDS = (
    r"(?i)\b(?:call|phone|telephone|tel|mobile|cell|fax|whatsapp|sms|text me|reach me|ring me|my number|handy|telefon|"
    r"t[ée]l[ée]phone|tel[ée]fono|mobil|portable|m[óo]vil)\b[^0-9]{0,25}$"
)
VERSION_WORDS = (
    r"(?i)(?:\bv|\b(?:version|ver|release|build|firmware|chapter|section|clause|kernel|update)\b[^0-9]{0,12})$"
)
OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of personal data."""

    placeholder: str
    guard: str
    """Texts without a match of it hold no candidate; cheap."""
    pattern: str
    """What a candidate looks like."""
    accepts: pl.Expr
    """Which candidates are meant, from piece, before and after."""
    checks: Callable[[pl.DataFrame], pl.Series] | None = None
    """What an expression cannot say: a checksum over the candidates."""


def _is_card(candidates: pl.DataFrame) -> pl.Series:
    return pl.Series(checksums.luhn(candidates["piece"]))


def _is_iban(candidates: pl.DataFrame) -> pl.Series:
    return pl.Series(checksums.iban(candidates["piece"]))


def _is_identity(candidates: pl.DataFrame) -> pl.Series:
    """Each kind of number by its own rule; those without a checksum pass."""
    found = candidates["piece"]
    passes = pl.repeat(True, len(found), dtype=pl.Boolean, eager=True)
    for shape, check in (
        (r"^756\.", checksums.ean13),
        (r"^[0-9]{3}\.[0-9]{3}\.", checksums.cpf),
        (r"^[0-9XYZ][0-9]{7}-?[A-Z]$|^[XYZ]-", checksums.dni),
    ):
        of_shape = found.str.contains(shape).arg_true()
        if len(of_shape):
            passes = passes.scatter(of_shape, pl.Series(check(found.gather(of_shape))))
    return passes


_ISSUER = (
    DIGITS.str.contains(r"^4[0-9]{15}(?:[0-9]{3})?$")
    | DIGITS.str.contains(r"^(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}$")
    | DIGITS.str.contains(r"^3[47][0-9]{13}$")
    | DIGITS.str.contains(r"^(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}$")
    | DIGITS.str.contains(r"^3(?:0[0-5]|[68][0-9])[0-9]{11}$")
    | DIGITS.str.contains(r"^35(?:2[89]|[3-8][0-9])[0-9]{12}$")
    | DIGITS.str.contains(r"^62[0-9]{14,17}$")
)
"""Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay: prefixes and lengths in use."""
_OLD_VISA = DIGITS.str.contains(r"^4[0-9]{12}$") & BEFORE.str.contains(CARD_WORDS)
_GROUPED = PIECE.str.contains(
    r"^(?:[0-9]+|[0-9]{4}([ -][0-9]{4}){2,3}([ -][0-9]{1,3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})$"
)

_INTERNATIONAL = PIECE.str.contains(r"^(?:\+|00)") & DIGITS.str.len_bytes().is_between(8, 15)
_AMERICAN = PIECE.str.contains(
    r"^(?:1[ .-]?)?(?:\([2-9][0-9]{2}\)[ .-]?[0-9]{3}[ .-][0-9]{4}|[2-9][0-9]{2}(?:-[0-9]{3}-|\.[0-9]{3}\.)[0-9]{4})$"
)
_TRUNK = (
    PIECE.str.contains(r"^\(?0[1-9][0-9]{0,4}\)?[ /-][0-9]{2,}(?:[ -][0-9]{2,})*$")
    & DIGITS.str.len_bytes().is_between(9, 12)
    & ~PIECE.str.contains(r"[ /-](?:19|20)[0-9]{2}$|[ /-](?:19|20)[0-9]{2}[ /-]")
)
_IN_CONTEXT = (
    BEFORE.str.contains(PHONE_WORDS)
    & DIGITS.str.len_bytes().is_between(7, 15)
    & ~PIECE.str.contains(
        r"^(?:19|20)[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|^[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:19|20)[0-9]{2}"
    )
)

_PUBLIC_V4 = (
    ~PIECE.str.contains(r"^(?:0|10|127|22[4-9]|2[3-5][0-9])\.|^169\.254\.|^192\.168\.|^172\.(?:1[6-9]|2[0-9]|3[01])\.")
    & ~PIECE.str.contains(r"^[0-9]\.[0-9]\.[0-9]\.[0-9]$")
    & ~BEFORE.str.contains(VERSION_WORDS)
)
_PUBLIC_V6 = PIECE.str.contains(r"^[23][0-9A-Fa-f]{3}:") & (
    PIECE.str.contains(r"^(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}$")
    | (PIECE.str.count_matches("::", literal=True) == 1) & ~PIECE.str.contains(":::", literal=True)
)

KINDS: Mapping[str, Kind] = {
    "url": Kind(
        placeholder="<URL>",
        guard=r"(?i)://|www\.",
        pattern=r"(?i:\bhttps?://|\bwww\.)[^\s<>\"'()]*[^\s<>\"'().,!?;:]",
        accepts=pl.lit(True),
    ),
    "email": Kind(
        placeholder="<EMAIL>",
        guard="@",
        pattern=r"[\w%+-][\w.%+-]*@(?:[\w-]+\.)+\p{L}{2,}",
        accepts=pl.lit(True),
    ),
    "ip": Kind(
        placeholder="<IP>",
        guard=r"[0-9]\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:",
        pattern=rf"(?:{OCTET}\.){{3}}{OCTET}|(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{0,4}}",
        accepts=~BEFORE.str.contains(r"[\w.:-]$")
        & ~AFTER.str.contains(r"^(?:\w|[.-][0-9A-Za-z])")
        & (PIECE.str.contains(".", literal=True) & _PUBLIC_V4 | PIECE.str.contains(":", literal=True) & _PUBLIC_V6),
    ),
    "iban": Kind(
        placeholder="<IBAN>",
        guard=r"(?i)\b[a-z]{2}[0-9]{2}[ 0-9a-z]{11}",
        pattern=r"(?i:\b(?:"
        + "|".join(
            rf"(?:{'|'.join(countries.split())})[0-9]{{2}}(?: ?[A-Z0-9]){{{length - 4}}}"
            for length, countries in checksums.IBAN_LENGTHS.items()
        )
        + r")\b)",
        accepts=pl.lit(True),
        checks=_is_iban,
    ),
    "nationalId": Kind(
        placeholder="<NATIONAL_ID>",
        guard=r"[0-9]{2}",
        pattern=r"[0-9]{3}-[0-9]{2}-[0-9]{4}"
        r"|[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"
        r"|756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}"
        r"|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
        r"|[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]"
        r"|[0-9]{8}-?[A-Z]|[XYZ]-?[0-9]{7}-?[A-Z]",
        accepts=ALONE & ~PIECE.str.contains(r"^(?:000|666|9[0-9]{2})-[0-9]{2}-|^[0-9]{3}-00-|^[0-9]{3}-[0-9]{2}-0000"),
        checks=_is_identity,
    ),
    "card": Kind(
        placeholder="<CARD>",
        guard=r"[0-9](?:[ -]?[0-9]){12}",
        pattern=r"[0-9](?:[ -]?[0-9]){12,18}",
        accepts=ALONE & _GROUPED & (_ISSUER | _OLD_VISA),
        checks=_is_card,
    ),
    "phone": Kind(
        placeholder="<PHONE>",
        guard=r"[0-9](?:[ ()./-]{0,3}[0-9]){6}",
        pattern=r"\+[1-9][0-9]{0,2}(?:[ ./-]?(?:\([0-9]{1,4}\)|[0-9]{1,4})){2,7}"
        r"|(?:1[ .-]?)?(?:\([2-9][0-9]{2}\)[ .-]?[0-9]{3}[ .-]|[2-9][0-9]{2}(?:-[0-9]{3}-|\.[0-9]{3}\.))[0-9]{4}"
        r"|\(?[0-9][0-9()]{0,14}(?:[ ./-]{1,2}\(?[0-9]{1,14}\)?){0,6}",
        accepts=ALONE & ((PIECE.str.starts_with("+") & _INTERNATIONAL) | _AMERICAN | _TRUNK | _IN_CONTEXT),
    ),
}
"""In the order they are looked for: what is found first is no candidate any more."""
