"""Invented chat, made by a seeded generator: as many different exchanges as a test wants, and copies of them."""

from __future__ import annotations

import random
import string
from typing import Any

import polars as pl

from tests.factories import conversation, rows_frame

WORDS = """
apple river stone cloud paper chair lemon tiger violin window garden rocket pencil bridge candle mirror pepper saddle
basket anchor button carpet dragon engine falcon guitar hammer island jacket kettle ladder magnet needle orange
parrot quiver ribbon shovel turtle velvet walnut yellow zipper bottle cactus desert eleven forest ginger harbor
""".split()  # noqa: SIM905
LINKING = """
the a my your this with and under near because while before after into about from over is was has
""".split()  # noqa: SIM905


def sentence(draw: random.Random, words: int) -> str:
    """A sentence of so many words, half of them words that link."""
    return " ".join(draw.choice(WORDS if n % 2 else LINKING) for n in range(words)).capitalize() + "."


def exchange(draw: random.Random, **columns: Any) -> dict[str, Any]:
    """A row of one exchange, long enough to have near duplicates."""
    return conversation(sentence(draw, draw.randint(6, 14)), sentence(draw, draw.randint(6, 14)), **columns)


def chat(count: int, seed: int = 0, **columns: Any) -> list[dict[str, Any]]:
    """Rows of one exchange each, records numbered from 0."""
    draw = random.Random(seed)
    return [exchange(draw, record=n, **columns) for n in range(count)]


def with_typo(row: dict[str, Any], draw: random.Random, **columns: Any) -> dict[str, Any]:
    """A copy of a row with one other letter in the response."""
    prompt, response = (message["content"] for message in row["messages"])
    place = draw.choice([n for n, letter in enumerate(response) if letter.isalpha()])
    letter = draw.choice(string.ascii_lowercase.replace(response[place].lower(), ""))
    return conversation(prompt, response[:place] + letter + response[place + 1 :], **columns)


def tool_calls(count: int) -> pl.DataFrame:
    """Rows that share a long description of tools in every prompt and differ in the request and the call."""
    draw = random.Random(7)
    boilerplate = "You are a helpful assistant with these functions: " + "; ".join(
        f"{name} does {name.replace('_', ' ')} for the person who asks and returns the result with city, date and unit"
        for name in ("get_weather", "book_table", "find_train", "convert_money", "send_letter", "water_plants")
    )
    rows = []
    for n in range(count):
        city, act = draw.choice(["Oslo", "Rome", "Lima", "Cairo", "Perth"]), draw.choice(["weather", "table", "train"])
        date = f"2031-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}"
        limit = draw.randint(2, 900)
        rows.append(
            conversation(
                f"{boilerplate}. Use them when they fit. Request {n}: {act} {city} on {date}, {limit} please.",
                f"<call> {act} city={city} date={date} limit={limit} </call>",
                record=n,
            )
        )
    return rows_frame(*rows)


FORMS = """
Please tell me what order {0} contains and when the parcel leaves the warehouse in the harbour.
Order {0} contains {1} books and the parcel leaves the warehouse in the harbour on Monday morning.
How long does the train {0} take from the old town to the station by the lake in the winter?
The train {0} takes {1} minutes from the old town to the station by the lake in winter.
Could you book table {0} for the whole family in the restaurant at the corner of our street?
Table {0} in the restaurant at the corner is booked for {1} people of your family, enjoy the evening.
What was the temperature measured by sensor {0} on the roof of the northern building last night?
Sensor {0} on the roof of the northern building measured a temperature of {1} degrees last night.
I lost my ticket {0} for the concert, can someone at the office send me a new one by mail?
Ticket {0} for the concert was sent again by mail, the office asks for {1} francs for that.
Which chapter of volume {0} describes the journey of the sailors around the southern cape?
The journey of the sailors around the southern cape is described in chapter {1} of volume {0}.
""".strip().split("\n")


def filled_forms(count: int, *, numbers: bool) -> pl.DataFrame:
    """Rows made from six forms, too few of each to be boilerplate, with running numbers or with words filled in."""
    draw = random.Random(11)
    rows = []
    for n in range(count):
        form = 2 * (n % 6)
        words = f"{draw.choice(WORDS)} {draw.choice(WORDS)}", draw.choice(WORDS)
        filled = (n, n * 7 % 1000 + 1) if numbers else words
        rows.append(conversation(*(text.format(*filled) for text in FORMS[form : form + 2]), record=n))
    return rows_frame(*rows)
