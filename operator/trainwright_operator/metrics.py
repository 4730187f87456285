"""Prometheus metrics of the operator, all named `trainwright_*`; docs/guides/install.md lists them."""

from __future__ import annotations

from collections import Counter as Count

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from trainwright_operator.store import Store


class Metrics:
    """What is counted, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.looks = Histogram(
            "trainwright_reconcile_seconds",
            "Seconds of one look at one run",
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
            registry=self.registry,
        )
        self.errors = Counter("trainwright_reconcile_errors", "Looks that failed", registry=self.registry)
        self.starts = Counter(
            "trainwright_attempts", "Jobs created, by group", ["group", "again"], registry=self.registry
        )
        self.events = Counter("trainwright_events", "Events written, by reason", ["reason"], registry=self.registry)
        self.posts = Counter(
            "trainwright_progress_posts", "Reports from pods, by answer", ["status"], registry=self.registry
        )
        self.runs = Gauge("trainwright_runs", "TrainingRuns, by phase", ["phase"], registry=self.registry)
        self.leading = Gauge("trainwright_leading", "1 while this process holds the Lease", registry=self.registry)
        self.schema_behind = Gauge(
            "trainwright_schema_missing_fields",
            "Fields of the operator's TrainingRun that the served CRD lacks",
            registry=self.registry,
        )

    def count_start(self, group: str, attempt: int) -> None:
        """An attempt was started."""
        self.starts.labels(group=group, again=str(attempt > 1).lower()).inc()

    def count_event(self, reason: str) -> None:
        """An Event is written."""
        self.events.labels(reason=reason).inc()

    def page(self, store: Store) -> bytes:
        """What /metrics answers."""
        phases = Count(str(run.status.get("phase") or "New") for run in store.runs.values())
        self.runs.clear()
        for phase, count in phases.items():
            self.runs.labels(phase=phase).set(count)
        return generate_latest(self.registry)
