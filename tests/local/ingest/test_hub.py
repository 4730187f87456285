"""Data sets of a hub: the training files are read, and one sentence says what is missing when access is denied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.toy_hub import Hub

ROOT = Path(__file__).parents[3]
INGEST = """
import json, sys
from pathlib import Path
from tests.unit.ingest.conftest import Workshop
from trainwright.errors import TrainwrightError
try:
    result = Workshop(folder=Path(sys.argv[1])).ingest(sys.argv[2])
    files = [file["name"] for file in result.facts[0]["files"]]
    print(json.dumps({"files": files, "passedOver": result.facts[0]["passedOver"], "rows": len(result.rows)}))
except TrainwrightError as error:
    print(json.dumps({"reason": error.reason, "message": error.message, "hint": error.hint}))
"""


class DataHub(Hub):
    """The toy hub, with its repository as a data set."""

    def do_GET(self) -> None:
        self.path = self.path.replace("/api/datasets/", "/api/models/").replace("/datasets/ORG/", "/ORG/")
        super().do_GET()


def ingested(tmp_path: Path, mode: str, uri: str = "hf://datasets/ORG/NAME") -> dict[str, Any]:
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, rows in (("train-00000.jsonl", 3), ("train-00001.jsonl", 2), ("test-00000.jsonl", 1)):
        (folder / name).write_text('{"prompt": "a", "response": "b"}\n' * rows)
    (folder / "README.md").write_text("about")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (DataHub,), {"folder": folder, "mode": mode}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": f"trainer_image{os.pathsep}.",
    }
    command = [sys.executable, "-c", INGEST, str(tmp_path), uri]
    try:
        done = subprocess.run(command, env=os.environ | settings, cwd=ROOT, capture_output=True, text=True, check=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_training_files_of_a_data_set_are_read_and_the_others_passed_over(tmp_path: Path) -> None:
    assert ingested(tmp_path, "open") == {
        "files": ["train-00000.jsonl", "train-00001.jsonl"],
        "passedOver": 2,
        "rows": 5,
    }


def test_files_of_a_data_set_can_be_named(tmp_path: Path) -> None:
    assert ingested(tmp_path, "open", "hf://datasets/ORG/NAME/test-*.jsonl")["rows"] == 1


@pytest.mark.parametrize(
    ("mode", "message", "hint"),
    [("gated", "access is denied", "accept the licence"), ("private", "nothing is there", "HF_TOKEN")],
)
def test_a_missing_licence_or_token_is_said_in_one_sentence(tmp_path: Path, mode: str, message: str, hint: str) -> None:
    found = ingested(tmp_path, mode)
    assert found["reason"] == "BadInput"
    assert found["message"].startswith("hf://datasets/ORG/NAME")
    assert message in found["message"]
    assert hint in found["hint"]
    assert "\n" not in found["message"]
