"""Models of a hub: pinned to a commit, and in one sentence what is missing when access is denied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.tiny_models import model_folder
from tests.toy_hub import COMMIT, Hub

ROOT = Path(__file__).parents[3]
FETCH = """
import json, sys
from pathlib import Path
from tests.unit.weights.fetching import fetch
from trainwright.errors import TrainwrightError
try:
    report, output = fetch(Path(sys.argv[1]), {"from": sys.argv[2]})
    print(json.dumps({"revision": report.metrics["revision"], "files": sorted(p.name for p in output.rglob("*"))}))
except TrainwrightError as error:
    print(json.dumps({"reason": error.reason, "message": error.message, "hint": error.hint}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = model_folder(tmp_path_factory.mktemp("hub") / "model")
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    return folder


@contextmanager
def hub(folder: Path, mode: str) -> Iterator[str]:
    handler = type("ToyHub", (Hub,), {"folder": folder, "mode": mode})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetched(tmp_path: Path, endpoint: str, uri: str) -> dict[str, object]:
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": f"trainer_image{os.pathsep}."}
    command = [sys.executable, "-c", FETCH, str(tmp_path), uri]
    done = subprocess.run(command, env=os.environ | settings, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("uri", ["hf://ORG/NAME", "hf://ORG/NAME@v1"])
def test_a_repository_is_fetched_at_one_commit_without_its_pickles(tmp_path: Path, model: Path, uri: str) -> None:
    with hub(model, "open") as endpoint:
        found = fetched(tmp_path, endpoint, uri)
    assert found["revision"] == COMMIT
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(found["files"])  # type: ignore[call-overload]
    assert "pytorch_model.bin" not in found["files"]  # type: ignore[operator]


@pytest.mark.parametrize("mode", ["gated", "private"])
def test_a_missing_token_or_licence_is_said_in_one_sentence(tmp_path: Path, model: Path, mode: str) -> None:
    with hub(model, mode) as endpoint:
        found = fetched(tmp_path, endpoint, "hf://ORG/NAME")
    assert found["reason"] == "BadInput"
    assert "\n" not in str(found["message"]) and "hf://ORG/NAME" in str(found["message"])
    assert "HF_TOKEN" in str(found["hint"])


def test_an_unknown_revision_is_an_error(tmp_path: Path, model: Path) -> None:
    with hub(model, "open") as endpoint:
        found = fetched(tmp_path, endpoint, "hf://ORG/NAME@v2")
    assert (found["reason"], found["message"]) == ("BadInput", "hf://ORG/NAME@v2: nothing is there")


def test_a_hub_that_does_not_answer_is_worth_another_try(tmp_path: Path) -> None:
    found = fetched(tmp_path, "http://127.0.0.1:9", "hf://ORG/NAME")
    assert found["reason"] == "RetryLater"
