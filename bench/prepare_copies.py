"""How many planted copies preparation finds, what else it drops, and what a shared form costs.

    python bench/prepare_copies.py

Takes 4,000 exchanges of chitchat with at least 3 words a side and 8 together, makes one changed copy of each, and runs
the stage with only deduplicate on over all of chitchat and the copies; a copy is found if it or its original goes. The
same for 400 rows that share a long text of tools and differ in numbers or, harder, in words only. Both by the plain
rule, too: no gram left out as boilerplate, numbers may differ. Writes bench/results/prepare_copies.md.
"""

from __future__ import annotations

import contextlib
import random
import string
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.factories import conversation, rows_frame
from tests.unit.prepare.chat import WORDS
from tests.unit.prepare.preparing import ALL_OFF, prepare

RESULT = Path(__file__).parent / "results" / "prepare_copies.md"
CHITCHAT = {
    "uri": "pkg://chitchat_dataset/dataset.json",
    "columns": {"messages": "messages", "role": "sender", "content": "text"},
}
PLANTED = 4_000
EXISTING = 10_000_000
Pair = tuple[str, str]


def main() -> None:
    """Plant, find, count, and write the result."""
    chat = chitchat()
    draw = random.Random(3)
    long = [pair for pair in chat if min(map(words, pair)) >= 3 and sum(map(words, pair)) >= 8]
    originals = draw.sample(long, PLANTED)
    lines = [
        "# Planted copies",
        "",
        f"`python bench/prepare_copies.py`: {PLANTED:,} of {len(chat):,} exchanges of chitchat get one copy each.",
        "",
        "| copy | found | others dropped as near | found by the plain rule | others |",
        "|---|---|---|---|---|",
    ]
    for name, change in changes(draw, [word for pair in originals for word in pair[0].split()]).items():
        copies = [(pair, change(pair)) for pair in originals]
        found, others = near_drops(chat, copies)
        with plain_rule():
            plainly, plain_others = near_drops(chat, copies)
        lines.append(f"| {name} | {found / PLANTED:.3f} | {others} | {plainly / PLANTED:.3f} | {plain_others} |")
    lines += ["", "| 400 rows that share a long form | kept | by the plain rule |", "|---|---|---|"]
    for name, rows in (("numbers differ", tool_rows(numbers=True)), ("only words differ", tool_rows(numbers=False))):
        with plain_rule():
            plainly = kept(rows)
        lines.append(f"| {name} | {kept(rows)} | {plainly} |")
    RESULT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


@contextlib.contextmanager
def plain_rule() -> Iterator[None]:
    """Compare as if no gram were boilerplate and no number a fact."""
    from trainwright.prepare.duplicates import boilerplate, likeness, sieving

    share, numbers, masks = boilerplate.LEAST_SHARE, likeness.have_other_numbers, sieving.masks_differ
    boilerplate.LEAST_SHARE = 2.0
    likeness.have_other_numbers = lambda texts, left, right: np.zeros(len(left), dtype=bool)
    sieving.masks_differ = lambda left, right: np.zeros(len(left), dtype=bool)
    try:
        yield
    finally:
        boilerplate.LEAST_SHARE, likeness.have_other_numbers, sieving.masks_differ = share, numbers, masks


def chitchat() -> list[Pair]:
    """Prompt and response of all exchanges."""
    from trainwright.api import Spec
    from trainwright.contract import RunConfig
    from trainwright.ingest import run

    spec = Spec.model_validate({"goal": "PrepareData", "data": {"sources": [CHITCHAT]}})
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(name="bench", spec=spec, workdir=Path(folder), base_folder=Path(folder))
        run(config, {}, Path(folder))
        rows = pl.read_parquet(Path(folder) / "rows" / "*.parquet", columns=["messages"])
    said = pl.col("messages").list
    pairs = rows.select(*(said.get(n).struct.field("content").alias(str(n)) for n in range(2)))
    return [(prompt, response) for prompt, response in pairs.iter_rows()]


def changes(draw: random.Random, vocabulary: list[str]) -> dict[str, Callable[[Pair], Pair]]:
    """What a copy differs in."""

    def typo(text: str) -> str:
        place = draw.choice([n for n, letter in enumerate(text) if letter.isalpha()] or [0])
        kind, letter = draw.randrange(3), draw.choice(string.ascii_lowercase)
        return text[:place] + ("" if kind == 0 else letter) + text[place + (kind != 2) :]

    def dropped(text: str) -> str:
        parts = text.split()
        del parts[draw.randrange(len(parts))]
        return " ".join(parts)

    def swapped(text: str) -> str:
        parts = text.split()
        parts[draw.randrange(len(parts))] = draw.choice(vocabulary)
        return " ".join(parts)

    return {
        "1 typo in the response": lambda pair: (pair[0], typo(pair[1])),
        "1 typo in each": lambda pair: (typo(pair[0]), typo(pair[1])),
        "1 word swapped in the response": lambda pair: (pair[0], swapped(pair[1])),
        "1 word dropped in each": lambda pair: (dropped(pair[0]), dropped(pair[1])),
        "case and punctuation": lambda pair: (pair[0].upper(), pair[1].rstrip(".!?").title() + "!!"),
    }


def near_drops(chat: list[Pair], copies: list[tuple[Pair, Pair]]) -> tuple[int, int]:
    """Copies of which one side goes, and other exchanges that go as near duplicates."""
    number = {pair: n for n, pair in enumerate(chat)}
    rows = [conversation(*pair, record=n) for n, pair in enumerate(chat)]
    rows += [conversation(*copy, record=EXISTING + number[pair]) for pair, copy in copies]
    gone = dropped(rows)
    originals = {number[pair] for pair, _ in copies}
    touched = {record % EXISTING for record, _ in gone if record % EXISTING in originals}
    others = sum(reason == "near" and record % EXISTING not in originals for record, reason in gone)
    return len(touched), others


def dropped(rows: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Record and reason of what only deduplicate takes."""
    with tempfile.TemporaryDirectory() as folder:
        done = prepare(Path(folder), rows_frame(*rows), settings=ALL_OFF | {"deduplicate": {"enabled": True}})
        return [(record, reason) for record, _, reason in done.reasons]


def words(text: str) -> int:
    """Words of a text."""
    return len(text.split())


def tool_rows(*, numbers: bool) -> list[dict[str, Any]]:
    """400 exchanges that share a description of tools in the prompt and the skeleton of a call in the response."""
    draw = random.Random(7)
    tools = "; ".join(
        f"{name}: use this function to {name.replace('_', ' ')} for the person who asks, and return the result as JSON "
        "with city, date, unit and limit"
        for name in ("get_weather", "book_table", "find_train", "convert_money")
    )
    rows = []
    for n in range(400):
        city, act = (
            draw.choice(["Oslo", "Rome", "Lima", "Cairo", "Perth", "Quito"]),
            draw.choice(["weather", "table", "train"]),
        )
        if numbers:
            date, limit = f"2031-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}", draw.randint(2, 900)
            asked, call = (
                f"Request {n}: {act} {city} on {date}, {limit} please.",
                f"city={city} date={date} limit={limit}",
            )
        else:
            first, second = draw.sample(WORDS, 2)
            asked, call = (
                f"Request: {act} {city} with {first} and {second}, please.",
                f"city={city} with={first} and={second}",
            )
        prompt = f"You are a helpful assistant with these functions: {tools}. Use them when they fit. {asked}"
        rows.append(conversation(prompt, f"<call> {act} {call} </call>", record=n))
    return rows


def kept(rows: list[dict[str, Any]]) -> int:
    """Rows that deduplicate leaves."""
    return len(rows) - len(dropped(rows))


if __name__ == "__main__":
    main()
