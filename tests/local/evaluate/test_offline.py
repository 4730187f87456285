"""Scores on a machine without network and without a home folder."""

from __future__ import annotations

import subprocess
import sys


def test_scores_need_neither_network_nor_home(tmp_path):
    code = """
import socket
def refuse(*arguments, **options): raise AssertionError("network")
socket.socket.connect = socket.socket.connect_ex = refuse
from trainwright.evaluate.scores import score
print(score("bleu", ["yes"], ["yes"])["bleu"], score("rouge", ["yes"], ["yes"])["rougeL"])
"""
    nowhere = tmp_path / "file"
    nowhere.touch()
    variables = {"HOME": str(nowhere), "HF_HOME": str(nowhere / "hf"), "PYTHONPATH": ":".join(sys.path), "PATH": ""}
    ended = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert ended.stdout == "1.0 1.0\n", ended.stderr
