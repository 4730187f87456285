"""`spec.data.prepare`: the steps of preparation, each with its switch and thresholds, in the order they run."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainwright.api.rules import ApiModel, Rule, has
from trainwright.api.scalars import RowCount, Share, Uri, text_like

LanguageCode = Annotated[
    str,
    *text_like(
        "language",
        r"[a-z]{2,3}",
        "is no language code: write ISO 639 as in en, de, zh",
        8,
        min_length=2,
        kind="language code",
    ),
]
PersonalKind = Literal["email", "phone", "card", "iban", "ip", "nationalId", "url"]


class Clean(ApiModel):
    """HTML, control characters, emoji, punctuation and case."""

    enabled: bool = True
    """Switches the step."""
    html: bool = True
    """Removes markup and keeps its text."""
    emoji: Literal["Keep", "Remove"] = "Keep"
    """Whether emoji stay; whole sequences, never a part of one."""
    punctuation: bool = True
    """Unifies quotes, dashes, repeated marks and spaces."""
    lowercase: bool = False
    """Lower-cases all text; off, since cased models lose by it."""


class Language(ApiModel):
    """Identification of the language, and translation. Keeps every language unless told otherwise."""

    enabled: bool = True
    """Switches the step."""
    keep: Annotated[list[LanguageCode], Field(max_length=64)] = []
    """ISO 639 codes of the languages that stay; empty: all. `und` keeps text too short or doubtful to tell."""
    translate_to: LanguageCode | None = None
    """Rows in other languages are translated into this one instead of dropped; needs translator."""
    translator: Uri | None = None
    """A sequence-to-sequence model; needs translateTo."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="translate",
            cel="has(self.translateTo) == has(self.translator)",
            holds=lambda s: has(s, "translateTo") == has(s, "translator"),
            message="translateTo and translator go together",
        ),
    )


class Relevance(ApiModel):
    """Rows that are irrelevant, incomplete or repetitive."""

    enabled: bool = True
    """Switches the step."""
    min_chars: Annotated[int, Field(ge=0, le=1_000_000)] = 2
    """Shortest response that stays, characters."""
    max_chars: Annotated[int, Field(ge=1, le=100_000_000)] = 100_000
    """Longest row that stays, characters."""
    max_symbol_share: Share = 0.3
    """Largest share of characters that are neither letters, digits nor spaces (a mild form of Gopher's symbol
    rule)."""
    max_repeat_share: Share = 0.3
    """Largest share of repeated n-grams (Gopher, arXiv 2112.11446, has 0.2 for 2-grams)."""
    incomplete: Literal["Keep", "Drop"] = "Keep"
    """Whether responses that stop in mid-sentence stay."""
    keywords: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=1000)] = []
    """Rows with one of these words are irrelevant and dropped."""
    topics: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=100)] = []
    """Rows of one of these topics are irrelevant and dropped: values of the column topic, which the sources keep."""


class Offensive(ApiModel):
    """Hate speech, profanity and threats, found by a lexicon with word boundaries and, where it is ambiguous, a
    learned score."""

    enabled: bool = True
    """Switches the step."""
    action: Literal["Drop", "Cut", "NoTrain", "Mask", "Keep"] = "Drop"
    """Drop: the conversation goes. Cut: what stands before the hit stays. NoTrain: the turn stays, without loss.
    Mask: the words are masked. Keep: hits are only counted."""
    threshold: Share = 0.8
    """Learned score from which an ambiguous word is a hit."""
    lexicon: Uri | None = None
    """File with one word or phrase a line, instead of the built-in list."""


class PersonalData(ApiModel):
    """E-mail addresses, phone, card and account numbers, IP addresses and national identifiers; not names of
    people."""

    enabled: bool = True
    """Switches the step."""
    action: Literal["Replace", "Drop", "Cut", "NoTrain", "Keep"] = "Replace"
    """Replace: a typed placeholder such as <EMAIL> takes its place. Drop, Cut, NoTrain, Keep: as for offensive."""
    kinds: Annotated[list[PersonalKind], Field(min_length=1, max_length=16)] = [
        "email",
        "phone",
        "card",
        "iban",
        "ip",
        "nationalId",
    ]
    """What is looked for: email, phone, card, iban, ip, nationalId; url is known too."""


class Deduplicate(ApiModel):
    """Exact and near duplicates."""

    enabled: bool = True
    """Switches the step."""
    near: Share = 0.7
    """Jaccard similarity of the byte 5-grams of two exchanges from which they are the same; 0: exact duplicates
    only."""
    semantic: Share = 0.0
    """Cosine similarity of the embeddings of two exchanges from which they are the same; 0: off."""


class RareWords(ApiModel):
    """Substitutes rare words; off, since subword tokenizers seldom need it."""

    enabled: bool = False
    """Switches the step."""
    min_count: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    """Words seen less often are replaced."""
    replacement: Annotated[str, Field(min_length=1, max_length=64)] = "<RARE>"
    """What stands in place of a rare word."""


class Synthesize(ApiModel):
    """Rows written by a model for groups that are thin; labelled, and used for training only."""

    model: Uri
    """Chat model that writes the rows."""
    min_share: Share = 0.02
    """Groups with a smaller share are filled up to it."""
    max_rows: RowCount = 10_000
    """At most so many rows are written."""


class Balance(ApiModel):
    """Takes down what is over-represented and fills what is thin; off."""

    enabled: bool = False
    """Switches the step."""
    by: Annotated[str, Field(min_length=1, max_length=128)] = "topic"
    """What makes a group: topic, source, or a kept column (which wins over topic of the same name); never demographic
    mention."""
    max_share: Share = 0.3
    """Groups with a larger share are sampled down to it."""
    synthesize: Synthesize | None = None
    """Fill thin groups with rows that a model writes; absent: they stay thin."""


class Prepare(ApiModel):
    """The steps of preparation, in the order they run. Each counts what it took, and why."""

    clean: Annotated[Clean, Field(default_factory=Clean)]
    """Noise: HTML, emoji, control characters, punctuation, case."""
    language: Annotated[Language, Field(default_factory=Language)]
    """Which languages stay, and translation."""
    relevance: Annotated[Relevance, Field(default_factory=Relevance)]
    """Irrelevant, incomplete and repetitive rows."""
    offensive: Annotated[Offensive, Field(default_factory=Offensive)]
    """Offensive rows: how they are found, and what becomes of them."""
    personal_data: Annotated[PersonalData, Field(default_factory=PersonalData)]
    """Personal data: what is looked for, and what becomes of it."""
    deduplicate: Annotated[Deduplicate, Field(default_factory=Deduplicate)]
    """Exact and near duplicates."""
    rare_words: Annotated[RareWords, Field(default_factory=RareWords)]
    """Substitution of rare words."""
    balance: Annotated[Balance, Field(default_factory=Balance)]
    """Groups that are too large or too thin."""
