"""The API server and `trainwright validate --cluster` judge damaged runs alike, and changes of runs, field by field.

Of what the server accepts, only names without a value are refused by the latter. TRAINWRIGHT_MUTANTS=20000 tries so
many, TRAINWRIGHT_SEED=… others.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from trainwright.api.yaml_loader import read_documents

from testcluster.api import Object
from testcluster.control_plane import ControlPlane
from tests.controlplane.crd.mutants import mutant
from tests.controlplane.crd.server import Server, difference, judge_as_validate, serving

STORIES = sorted((Path(__file__).parents[1] / "data" / "api" / "stories").glob("*.yaml"))
MUTANTS = int(os.environ.get("TRAINWRIGHT_MUTANTS", "1500"))
SEED = os.environ.get("TRAINWRIGHT_SEED", "1")


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane, crd: None) -> Iterator[Server]:
    """The API server, with a namespace of its own."""
    with serving(control_plane.api) as judge:
        yield judge


@pytest.fixture(scope="module")
def stories() -> list[Object]:
    """Runs as users write them."""
    runs = [read_documents(file.read_text("utf-8"))[0].value for file in STORIES]
    for run in runs:
        run["metadata"].pop("namespace", None)
    return runs


def sent(run: Object) -> Object:
    """The run as kubectl sends it: 1.0 in a file is 1."""
    sent: Object = read_documents(json.dumps(run))[0].value
    return sent


def test_damaged_runs_are_judged_alike(server: Server, stories: list[Object]) -> None:
    for number in range(MUTANTS):
        chance = random.Random(f"{SEED}.{number}")
        run = sent(mutant(chance.choice(stories), stories, chance))
        told = difference(server.judge(run), judge_as_validate(run))
        assert told == "", f"mutant {number}: {json.dumps(run)}"


def test_changes_of_runs_are_judged_alike(server: Server, stories: list[Object]) -> None:
    befores: dict[str, Object] = {}
    for story in stories:
        for suspend in (True, False):
            run = copy.deepcopy(story)
            run["metadata"]["name"] += "-s" if suspend else ""
            run["spec"]["suspend"] = suspend
            befores[run["metadata"]["name"]] = run
            server.create(run["metadata"]["name"], run["spec"])
    for number in range(MUTANTS // 5):
        chance = random.Random(f"{SEED}.change.{number}")
        name = chance.choice(list(befores))
        run = sent(mutant(befores[name], stories, chance))
        run["metadata"]["name"] = name
        told = difference(server.judge_change(name, run), judge_as_validate(run, befores[name]["spec"]))
        assert told == "", f"change {number} of {name}: {json.dumps(run)}"
