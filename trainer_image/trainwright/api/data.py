"""`spec.data`: where rows come from, how their columns become conversations, limits for the audit, and the split."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.api.prepare import Prepare
from trainwright.api.rules import ApiModel, Rule, count, has
from trainwright.api.scalars import RowCount, Share, Uri

Column = Annotated[str, Field(min_length=1, max_length=512)]
_ROLE_NAMES: dict[str, Any] = {
    "x-kubernetes-validations": [
        {
            "rule": "self.all(k, k.size() >= 1 && k.size() <= 128)",
            "message": "a name has 1 to 128 characters",
            "reason": "FieldValueForbidden",
        }
    ]
}


class Columns(ApiModel):
    """How a source's columns become rows. A value is a column's name or, with braces, a template such as
    "{title}\\n\\n{body}" that merges several ({{ is a brace). Columns not named are dropped."""

    text: Column | None = None
    """Plain text, for pre-training."""
    prompt: Column | None = None
    """What is asked; needs response."""
    response: Column | None = None
    """What the model learns to answer; needs prompt."""
    messages: Column | None = None
    """A list of {role, content} or {from, value}."""
    conversation: Column | None = None
    """Identifies the conversation, where each row is one utterance; needs role and content."""
    system: Column | None = None
    """A system message before the first turn."""
    history: Column | None = None
    """Earlier turns, before prompt: a list of messages or of [prompt, response] pairs."""
    role: Column | None = None
    """Who speaks: key of a message, or column of an utterance. user, assistant, system, tool and their usual names
    are known."""
    roles: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=128)],
            Literal["user", "assistant", "system", "tool"],
        ],
        Field(max_length=16, json_schema_extra=_ROLE_NAMES),
    ] = {}
    """Names of your own, as in {agent: assistant}; quote y, n and 0777. Values that neither knows are speakers:
    neighbouring utterances of one are joined by a space, every exchange becomes a row, its conversation the
    group."""
    content: Column | None = None
    """What is said: key of a message, or column of an utterance."""
    order: Column | None = None
    """Orders the utterances of a conversation; absent: the order of the file."""
    tools: Column | None = None
    """Tool descriptions, kept as JSON."""
    group: Column | None = None
    """Rows of one group never fall into different splits; absent: the conversation."""
    rating: Column | None = None
    """Quality of a row, a number: the better of two duplicates stays."""
    keep: Annotated[list[Column], Field(max_length=32)] = []
    """Columns carried along for audit and balance."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="columns-one",
            cel="[has(self.text), has(self.prompt), has(self.messages), has(self.conversation)]"
            ".filter(x, x).size() == 1",
            holds=lambda s: count(s, "text", "prompt", "messages", "conversation") == 1,
            message="give exactly one of text, prompt, messages, conversation",
        ),
        Rule(
            id="columns-response",
            cel="has(self.prompt) == has(self.response)",
            holds=lambda s: has(s, "prompt") == has(s, "response"),
            message="prompt and response go together",
        ),
        Rule(
            id="columns-utterances",
            cel="!has(self.conversation) || (has(self.role) && has(self.content))",
            holds=lambda s: not has(s, "conversation") or (has(s, "role") and has(s, "content")),
            message="conversation needs role and content",
        ),
    )


class Source(ApiModel):
    """One set of rows."""

    uri: Uri
    """Files (globs allowed) or a data set: s3://corpus/chat/*.parquet, hf://datasets/ORG/NAME[@REVISION][/PATH],
    pkg://PYTHON_PACKAGE/PATH, pvc://CLAIM/PATH, ./FILE."""
    format: Literal["parquet", "jsonl", "json", "csv", "text", "yaml"] | None = None
    """Format of the files: parquet, jsonl, json, csv, text or yaml; absent: by their suffix. .gz and .zst are
    unpacked."""
    columns: Columns | None = None
    """Which column is what. Absent: the usual shapes are recognised (messages, conversations, prompt/response,
    instruction/input/output, question/answer, text); plan says which."""
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Times each row is seen per epoch: the whole part repeats it, the fraction takes rows by hash(seed, id), the
    same in each epoch. Evaluation ignores it."""
    max_rows: RowCount | None = None
    """At most so many exchanges, a seeded sample; absent: all."""
    license: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """SPDX identifier, for the cards of model and data."""
    use: Literal["Train", "Validation", "Test"] | None = None
    """What the rows are for. Train: never split off, else treated like all. Validation, Test: cleaned and redacted like
    all, counted by every filter, dropped by none. Absent: data.split decides."""


class Audit(ApiModel):
    """What the prepared rows must look like. A breach fails the run before a GPU is asked for, or is only reported."""

    on_violation: Literal["Warn", "Fail"] = "Warn"
    """What becomes of a run that misses a limit: Warn reports it, Fail ends the run with reason DataAudit."""
    max_topic_share: Share | None = None
    """Largest share of exchanges that one topic may have; absent: no limit."""
    max_sentiment_share: Share | None = None
    """Largest share of exchanges that one sentiment may have; absent: no limit."""
    max_group_gap: Share | None = None
    """Largest gap in the share of negative replies between a demographic group and the rest, violated when the
    interval's lower end is above it; absent: no limit."""
    max_offensive_share: Share | None = None
    """Largest share of offensive exchanges left; absent: no limit."""
    max_personal_data_share: Share | None = None
    """Largest share of exchanges with personal data left; absent: no limit."""
    min_rows: RowCount | None = None
    """Fewest training exchanges left; absent: no limit."""
    decisions: Uri | None = None
    """A reviewed list: CSV of content key, decision (keep, drop, edit), text. Where no such file is yet, a warning
    says so; a failed audit writes the list to review."""


class Split(ApiModel):
    """Shares of exchanges, at most 10,000 each, taken by group; then links to training rows are cut."""

    validation: Share = 0.01
    """Share for choosing among candidates and for early stopping."""
    test: Share = 0.01
    """Share for the final figures and the gates."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="split-sum",
            cel="(has(self.validation) ? self.validation : 0.01) + (has(self.test) ? self.test : 0.01) <= 1.0",
            holds=lambda s: s.get("validation", 0.01) + s.get("test", 0.01) <= 1.0,
            message="validation + test may be 1 at most",
        ),
    )


class Data(ApiModel):
    """Rows: where from, what is done to them, what they must look like."""

    sources: Annotated[list[Source], Field(min_length=1, max_length=64)]
    """Where the rows come from, in order."""
    on_bad_rows: Literal["Skip", "Fail"] = "Skip"
    """Skip: a bad row costs a row and is counted with file and line. Fail: the first one ends the run."""
    max_bad_share: Share = 0.01
    """With a larger share of bad rows the run fails with reason BadInput."""
    prepare: Annotated[Prepare, Field(default_factory=Prepare)]
    """The steps of preparation and their thresholds."""
    audit: Annotated[Audit, Field(default_factory=Audit)]
    """Limits for the prepared rows; absent: nothing is limited, all is reported."""
    split: Annotated[Split, Field(default_factory=Split)]
    """Shares of the rows that are kept for validation and test."""
