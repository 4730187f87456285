"""Files of TrainingRuns: text in, `TrainingRun` out, or one error that tells all problems."""

from __future__ import annotations

from pathlib import Path

from trainwright.api.run import KIND, TrainingRun
from trainwright.api.validation import problems
from trainwright.api.yaml_loader import read_documents
from trainwright.errors import InvalidSpec


def load_run(path: Path) -> TrainingRun:
    """Read the one TrainingRun in a file; documents of other kinds beside it are left alone.

    Raises:
        InvalidSpec: the file cannot be read, breaks a rule, or holds several runs.
    """
    runs = load_runs(path)
    if len(runs) > 1:
        names = ", ".join(run.metadata.name for run in runs)
        raise InvalidSpec(f"{path} holds {len(runs)} TrainingRuns ({names})", hint="give each run a file of its own")
    return runs[0]


def load_runs(path: Path) -> list[TrainingRun]:
    """Read all TrainingRuns in a file.

    Raises:
        InvalidSpec: the file cannot be read, or breaks a rule.
    """
    text = read_text(path)
    if found := problems(text):
        listed = "\n".join(f"  {path}:{problem}" for problem in found)
        number = "a problem" if len(found) == 1 else f"{len(found)} problems"
        raise InvalidSpec(f"{path} has {number}:\n{listed}", hint=f"trainwright validate {path} checks it again")
    values = [document.value for document in read_documents(text)]
    return [
        TrainingRun.model_validate({**value, "status": None})
        for value in values
        if isinstance(value, dict) and value.get("kind") == KIND
    ]


def read_text(path: Path) -> str:
    """Read a file as UTF-8, with or without a byte order mark.

    Raises:
        InvalidSpec: there is no such file, or it is no text.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InvalidSpec(
            f"{path} cannot be read: {error.strerror}", hint="name a YAML file with a TrainingRun"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"{path} is no UTF-8 text (byte {error.start:,})", hint="save it as UTF-8") from error
