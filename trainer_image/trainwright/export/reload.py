"""Proves that an exported folder is what was trained: a clean process loads it and says its loss and its prompts' ids.

In: the folder, packs of held-out rows with the loss that training saw on them, the template. Out: the clean process's
figures; an error if loss or prompts differ, in which case nothing is exported.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainwright.chat_template import ChatTemplate
from trainwright.errors import BadInput, TrainwrightError
from trainwright.formats.tokens import Pack

TOLERANCES: Mapping[str, float] = {"fp32": 1e-4, "bf16": 5e-3}
"""Largest difference of the losses: relative, below a loss of 1 in nats. In bf16 one side adds an adapter's output, the
other merged it, and rows are packed differently."""
NEW_TOKENS = 32
TIMEOUT_S = 3600
PROMPTS: Sequence[list[dict[str, str]]] = (
    [{"role": "user", "content": "What is the capital of Switzerland?"}],
    [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Is 2 < 3 & 3 > 2?"},
    ],
)


def verify_reload(
    folder: Path, packs: Sequence[Pack], trainer_loss: float, precision: str, template: ChatTemplate
) -> Mapping[str, Any]:
    """Load `folder` in a clean process and compare it with training.

    Raises:
        TrainwrightError: it cannot be loaded, has another loss than `trainer_loss`, or gives other prompts.
    """
    found = _clean_process(folder, packs)
    tolerance = TOLERANCES[precision]
    difference = abs(found["loss"] - trainer_loss) / max(trainer_loss, 1.0)
    if not difference <= tolerance:
        raise BadInput(
            f"the exported model has loss {found['loss']:.6g} where training had {trainer_loss:.6g} on the same "
            f"{len(packs)} packs ({difference:.1e} apart, allowed {tolerance:.0e} in {precision})",
            hint="the export is not delivered; the trained weights stay in the train stage's candidates folder",
        )
    expected = [list(template.prompt_ids(list(messages))) for messages in PROMPTS]
    if found["promptIds"] != expected:
        raise BadInput(
            "the exported chat template does not give the token ids that were trained on",
            hint="name a template with model.chatTemplate (llama3 or chatml)",
        )
    return found


def _clean_process(folder: Path, packs: Sequence[Pack]) -> dict[str, Any]:
    source = Path(__file__).with_name("clean_process.py").read_text("utf-8")
    sample = {
        "packs": [
            {"tokens": pack.tokens.tolist(), "targets": pack.targets.tolist(), "lengths": pack.lengths.tolist()}
            for pack in packs
        ],
        "prompts": list(PROMPTS),
        "newTokens": NEW_TOKENS,
    }
    with tempfile.TemporaryDirectory(prefix="trainwright-reload-") as work:
        sample_file = Path(work, "sample.json")
        sample_file.write_text(json.dumps(sample), "utf-8")
        command = [sys.executable, "-I", "-c", source, str(folder.resolve()), str(sample_file)]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=work, timeout=TIMEOUT_S, check=False)
    if ended.returncode != 0:
        killed = f"killed by signal {-ended.returncode}" if ended.returncode < 0 else "no message"
        last = (ended.stderr.strip() or killed).splitlines()[-1] if ended.returncode > 0 else killed
        raise TrainwrightError(
            f"the exported model cannot be loaded by transformers alone: {last}",
            hint="the trained weights stay in the train stage's candidates folder; the same command tries again",
        )
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found
