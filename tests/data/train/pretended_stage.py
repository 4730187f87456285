"""Stands in for `python -m trainwright STAGE --config run.json`: a stage whose ranks behave as $BEHAVIOUR says.

$BEHAVIOUR is words such as `0:publish 1:killed`, one per rank.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

from trainwright import environment, stage_process
from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig
from trainwright.errors import BadInput, NonFinite, Stopped
from trainwright.progress import Heart, Progress

HERE = environment.rank()


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    words = dict(word.split(":") for word in os.environ["BEHAVIOUR"].split())
    (output / f"pid-{HERE}").write_text(str(os.getpid()))
    BEHAVIOURS[words[str(HERE)]](output)
    return Report(message="done", counts={"things": 3}, metrics={"threads": environment.threads()})


def publish(output: Path) -> None:
    Progress("train", 2, "things").update(2, speed=1)
    print("words that are no JSON")


def bad_input(output: Path) -> None:
    raise BadInput("the file x.jsonl is empty", hint="fill it")


def non_finite(output: Path) -> None:
    raise NonFinite("the loss of step 7 is not finite", step=7)


def peer_gone(output: Path) -> None:
    time.sleep(0.3)
    raise RuntimeError("[transport/tcp/pair.cc] Connection closed by peer [127.0.0.1]")


def peer_gone_at_once(output: Path) -> None:
    raise RuntimeError("[transport/tcp/pair.cc] Connection closed by peer [127.0.0.1]")


def killed(output: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_late(output: Path) -> None:
    time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGKILL)


def full(output: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(output / "part"))


def no_memory(output: Path) -> None:
    raise MemoryError("Unable to allocate 7 GiB")


def defect(output: Path) -> None:
    raise ZeroDivisionError("of all things")


def hang(output: Path) -> None:
    time.sleep(600)


def hang_with_child(output: Path) -> None:
    child = subprocess.Popen(["sleep", "600"])
    (output / "child").write_text(str(child.pid))
    time.sleep(600)


def stop_politely(output: Path) -> None:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    (output / f"ready-{HERE}").touch()
    while not asked:
        time.sleep(0.02)
    raise Stopped("stopped after step 5", hint="the same command goes on")


BEHAVIOURS: dict[str, Callable[[Path], None]] = {
    name: value for name, value in list(globals().items()) if isinstance(value, types.FunctionType) and name != "run"
}

if __name__ == "__main__":
    if "STEP" in os.environ:
        Heart.step = int(os.environ["STEP"])
    stage = types.ModuleType("trainwright.train")
    stage.run = run  # type: ignore[attr-defined]
    sys.modules["trainwright.train"] = stage
    sys.exit(stage_process.main(sys.argv[1], Path(sys.argv[3])))
