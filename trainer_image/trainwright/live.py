"""What a person sees while a run goes on: bars and figures on a terminal, plain lines elsewhere.

In: the events of local.run (plan, stage started, progress lines, stage finished). Out: text on stdout, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from trainwright.artifacts import Artifact
from trainwright.survey import Step

PLAIN_INTERVAL_S = 10.0


def duration(seconds: float) -> str:
    """A duration as people say it: 0.4s, 12s, 3m05s, 2h10m, 16d4h."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


class PlainView:
    """One line per event; progress at most every ten seconds. For logs, pipes and CI."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._since = self._shown = 0.0
        self._stage = ""

    def plan(self, text: str) -> None:
        """Show the plan as it stands."""
        self._say(text)

    def started(self, step: Step) -> None:
        """Name the stage."""
        self._stage, self._since, self._shown = step.stage.name, time.monotonic(), time.monotonic()
        self._say(f"{step.stage.name:<9} started")

    def line(self, line: Mapping[str, Any]) -> None:
        """Show warnings at once, progress now and then."""
        if line.get("level") in ("WARNING", "ERROR"):
            self._say(f"{self._stage:<9} {str(line['level']).lower()}: {line['message']}")
        elif "done" in line and time.monotonic() - self._shown >= PLAIN_INTERVAL_S:
            self._shown = time.monotonic()
            share = line["done"] / max(1, line["total"])
            self._say(
                f"{self._stage:<9} {share:4.0%}  {line['done']:,} of {line['total']:,} {line['unit']}  {figures(line)}"
            )

    def finished(self, step: Step, artifact: Artifact, *, reused: bool) -> None:
        """Say what came out."""
        took = "reused" if reused else duration(time.monotonic() - self._since)
        self._say(f"{step.stage.name:<9} {took:<7} {artifact.done['message']}")

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)


class LiveView:
    """A bar per stage with its figures; finished stages keep one line with what came out."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._since = 0.0

    def plan(self, text: str) -> None:
        """Show the plan, dimmed: the run itself is what counts."""
        self.console.print(Text(text, style="dim"))

    def started(self, step: Step) -> None:
        """Open the stage's bar."""
        self._since = time.monotonic()
        self._progress = Progress(
            TextColumn("[bold]{task.description:<9}"),
            BarColumn(bar_width=24),
            _Figures(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(step.stage.name, total=None, figures="starting")

    def line(self, line: Mapping[str, Any]) -> None:
        """Move the bar, or print a warning above it."""
        if self._progress is None or self._task is None:
            return
        if line.get("level") in ("WARNING", "ERROR"):
            self._progress.console.print(Text(f"  {line['message']}", style="yellow"))
        elif "done" in line:
            text = f"{line['done']:,}/{line['total']:,} {line['unit']}  {figures(line)}"
            self._progress.update(self._task, completed=line["done"], total=line["total"], figures=text)

    def finished(self, step: Step, artifact: Artifact, *, reused: bool) -> None:
        """Close the bar and keep what came out."""
        self.close()
        took = "reused" if reused else duration(time.monotonic() - self._since)
        mark = Text("· " if reused else "✓ ", style="dim" if reused else "green")
        text = Text(f"{step.stage.name:<9} {took:>7}  ", style="dim" if reused else "")
        self.console.print(mark, text, Text(artifact.done["message"]), sep="")

    def close(self) -> None:
        """Take the bar down, also after a failure."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None


class _Figures(ProgressColumn):
    def render(self, task: Any) -> Text:
        return Text(task.fields.get("figures", ""), style="cyan")


def figures(line: Mapping[str, Any]) -> str:
    """The figures of a progress line, short."""
    return "  ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in (line.get("figures") or {}).items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
