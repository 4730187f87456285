"""What kopf calls: every event of a run, of its Jobs and of its pods enters the store and wakes the run.

No finalizers, no timers, no handlers that keep a state of their own: deletion never waits for this process, and a
restart finds everything by looking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from trainwright_operator import names
from trainwright_operator.observed import job_of, pod_of, run_of
from trainwright_operator.store import Key, Store


def register(registry: kopf.OperatorRegistry, store: Store, wake: Callable[[Key], None]) -> None:
    """Have kopf fill `store` and call `wake`.

    Indexes, not handlers, enter what is there at the start: kopf calls no handler before all of them are filled, so
    the first decision about a run already sees its Jobs and pods.
    """
    ours = {names.RUN: kopf.PRESENT}

    @kopf.on.login(registry=registry, id="login")
    def login(**given: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)

    @kopf.index(names.GROUP, names.VERSION, names.PLURAL, registry=registry, id="runs")
    def enter_run(body: kopf.Body, **_: Any) -> None:
        store.put_run(run_of(body))

    @kopf.index("batch", "v1", "jobs", labels=ours, registry=registry, id="jobs")
    def enter_job(body: kopf.Body, **_: Any) -> None:
        if (job := job_of(body)) is not None:
            store.put_job(job)

    @kopf.index("", "v1", "pods", labels=ours, registry=registry, id="pods")
    def enter_pod(body: kopf.Body, **_: Any) -> None:
        if (pod := pod_of(body)) is not None:
            store.put_pod(pod)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry, id="run-changed")
    async def run_changed(type: str | None, body: kopf.Body, **_: Any) -> None:
        run = run_of(body)
        wake(store.forget_run(run) if type == "DELETED" else store.put_run(run))

    @kopf.on.event("batch", "v1", "jobs", labels=ours, registry=registry, id="job-changed")
    async def job_changed(type: str | None, body: kopf.Body, **_: Any) -> None:
        if (job := job_of(body)) is not None:
            wake(store.forget_job(job) if type == "DELETED" else store.put_job(job))

    @kopf.on.event("", "v1", "pods", labels=ours, registry=registry, id="pod-changed")
    async def pod_changed(type: str | None, body: kopf.Body, **_: Any) -> None:
        if (pod := pod_of(body)) is not None:
            wake(store.forget_pod(pod) if type == "DELETED" else store.put_pod(pod))


def configure(settings: kopf.OperatorSettings) -> None:
    """How kopf watches: bounded lists, watches that notice their own silence, no Events of kopf's, no peering."""
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 290
    settings.watching.client_timeout = 300
    settings.watching.connect_timeout = 10
    settings.watching.label_selectors["batch", "v1", "jobs"] = names.RUN
    settings.watching.label_selectors["", "v1", "pods"] = names.RUN
    settings.networking.request_timeout = 30
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
