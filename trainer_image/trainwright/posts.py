"""Tells the operator how far a pod is, while it works: a JSON post every ten seconds, and at once when a stage begins.

In: progress lines, the ranks of this pod, and a function that gives the report so far. Out: `PodProgress` over HTTPS,
with a token that is read anew each time, since Kubernetes renews it. Nothing here ever disturbs the work: what cannot
be posted is logged once and tried again at the next turn.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainwright.blame import Rank
from trainwright.contract import PodProgress, PodReport, RankProgress
from trainwright.environment import Pod

LOG = logging.getLogger(__name__)
INTERVAL_S = 10.0
TIMEOUT_S = 5.0
MOST_RANKS = 64


class Poster:
    """Posts from a thread of its own, between `start` and `stop`; without an address it only keeps what it is told."""

    def __init__(self, pod: Pod, report: Callable[[], PodReport], *, epochs: float | None = None) -> None:
        self._pod, self._report, self._epochs = pod, report, epochs
        self._stage = ""
        self._line: Mapping[str, Any] = {}
        self._figures: dict[str, float | int | str] = {}
        self._ranks: Sequence[Rank] = ()
        self._wake = threading.Event()
        self._over = False
        self._complained = False
        self._thread = threading.Thread(target=self._post_on_and_on, name="posts", daemon=True)

    def start(self) -> None:
        """Begin to post."""
        if self._pod.progress_url is not None:
            self._thread.start()

    def stop(self) -> None:
        """Post no more; one that is under way is given up after its own time limit."""
        self._over = True
        self._wake.set()

    def begin(self, stage: str) -> None:
        """A stage begins: say so at once."""
        self._stage, self._line, self._figures, self._ranks = stage, {}, {}, ()
        self._wake.set()

    def watch(self, ranks: Sequence[Rank]) -> None:
        """From now on tell the signs of life of these."""
        self._ranks = ranks

    def line(self, line: Mapping[str, Any]) -> None:
        """Take a progress line of the stage's process; others are let pass."""
        if "done" not in line:
            return
        figures = dict(line.get("figures") or {})
        done, before = line["done"], self._line
        if self._stage == "train" and before and done > before["done"]:
            figures["secondsPerStep"] = round((line["time"] - before["time"]) / (done - before["done"]), 4)
        if self._stage == "train" and self._epochs and line["total"]:
            figures["epoch"] = round(self._epochs * done / line["total"], 4)
        self._line, self._figures = line, {**self._figures, **figures}

    @property
    def done(self) -> tuple[int | None, int | None]:
        """Units done of all in the stage at work."""
        return self._line.get("done"), self._line.get("total")

    def progress(self) -> PodProgress:
        """What is to be posted now."""
        now, report = time.monotonic(), self._report()
        figures = dict(self._figures)
        if self._stage == "train" and report.evaluations and report.evaluations[-1].loss is not None:
            figures["validationLoss"] = report.evaluations[-1].loss
        return PodProgress(
            pod=self._pod.name,
            attempt=self._pod.attempt,
            stage=self._stage,
            done=self._line.get("done"),
            total=self._line.get("total"),
            unit=self._line.get("unit", ""),
            figures=figures,
            ranks=[
                RankProgress(rank=rank.number, step=rank.step, heartbeat_age_seconds=round(now - rank.heard, 1))
                for rank in self._ranks
                if rank.ended is None
            ][:MOST_RANKS],
            report=report,
        )

    def _post_on_and_on(self) -> None:
        while not self._over:
            self._wake.wait(INTERVAL_S)
            self._wake.clear()
            if self._stage and not self._over:
                self._try_to_post()

    def _try_to_post(self) -> None:
        try:
            self._post()
        except Exception as error:  # noqa: BLE001 - whatever it is, the work goes on
            if not self._complained:
                LOG.warning("progress cannot be posted to %s: %s", self._pod.progress_url, error)
            self._complained = True

    def _post(self) -> None:
        headers = {"Content-Type": "application/json"}
        if self._pod.progress_token is not None:
            headers["Authorization"] = f"Bearer {self._pod.progress_token.read_text('utf-8').strip()}"
        body = self.progress().model_dump_json(by_alias=True, exclude_none=True)
        request = urllib.request.Request(f"{self._pod.progress_url}/pod", body.encode(), headers, method="POST")
        authority = str(self._pod.progress_ca) if self._pod.progress_ca is not None else None
        context = ssl.create_default_context(cafile=authority) if request.type == "https" else None
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:
            answer.read()
