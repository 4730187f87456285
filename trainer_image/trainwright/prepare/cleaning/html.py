"""Markup: tags of HTML go, their text stays, entities become characters. `a < b`, `<3` and unknown tags are text."""

from __future__ import annotations

import html

import polars as pl

from trainwright.prepare.cleaning.code import outside_code

BLOCKS = (
    "address|article|aside|blockquote|body|br|center|dd|div|dl|dt|figcaption|figure|footer|form|h[1-6]|head|header|hr|"
    "html|li|main|nav|ol|p|pre|section|table|tbody|tfoot|thead|title|tr|ul"
)
INLINES = (
    "a|abbr|acronym|b|bdi|bdo|big|button|cite|code|col|del|dfn|em|embed|fieldset|font|i|iframe|img|input|ins|kbd|label|"
    "legend|link|mark|meta|noscript|object|option|param|q|s|samp|select|small|source|span|strike|strong|sub|sup|svg|"
    "textarea|time|tt|u|var|video|wbr"
)
REST = r"(?:\s[^<>]{0,2000})?/?>"
ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"


def needs(text: pl.Expr) -> pl.Expr:
    """Texts with a `<` or an `&` may hold markup."""
    return text.str.contains("<", literal=True) | text.str.contains("&", literal=True)


def fix(texts: pl.Series) -> pl.Series:
    """The texts without markup; what is a block in HTML stands on a line of its own."""
    return outside_code(texts, _plain).str.strip_chars()


def _plain(texts: pl.Series) -> pl.Series:
    without = (
        texts.str.replace_all(r"(?s)<!--.*?-->|(?i:<!doctype[^>]*>)", "")
        .str.replace_all(r"(?is)<script\b[^>]*>.*?</script\s*>|<style\b[^>]*>.*?</style\s*>", " ")
        .str.replace_all(rf"(?i)\s*</?(?:{BLOCKS}){REST}\s*", "\n")
        .str.replace_all(rf"(?i)</?(?:td|th){REST}", " ")
        .str.replace_all(rf"(?i)</?(?:{INLINES}){REST}", "")
    )
    entities = without.str.extract_all(ENTITY).explode(empty_as_null=False, keep_nulls=False).unique().to_list()
    if not entities:
        return without
    return without.str.replace_many(entities, [html.unescape(entity) for entity in entities])
