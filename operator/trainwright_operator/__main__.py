"""`python -m trainwright_operator`: the operator's process, from its environment to its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from datetime import UTC, datetime

import kopf
from aiohttp import web

from trainwright_operator import certificates, handlers
from trainwright_operator.cluster import Cluster
from trainwright_operator.errors import LeaseLost
from trainwright_operator.lease import Leadership
from trainwright_operator.metrics import Metrics
from trainwright_operator.progress import ProgressServer
from trainwright_operator.reconcile import SCHEMA_EVERY_S, Reconciler
from trainwright_operator.schema_check import missing_fields
from trainwright_operator.settings import Settings, from_environment
from trainwright_operator.store import Key, Store
from trainwright_operator.wake import Waker

EXIT_LEASE_LOST = 3
SERVER_RENEWAL_S = 14 * 24 * 3600
SILENT_S = 900.0
"""No look at any run for three resyncs means that the watches are dead."""
log = logging.getLogger("trainwright_operator")


def main() -> int:
    """Run the operator until it is told to stop or loses its Lease."""
    _log_as_json()
    try:
        asyncio.run(serve(from_environment()))
    except LeaseLost as error:
        log.error("%s", error)
        return EXIT_LEASE_LOST
    return 0


async def serve(settings: Settings) -> None:
    """Lead, watch, reconcile; everything ends together.

    Raises:
        LeaseLost: another operator leads.
    """
    cluster = await Cluster.connect()
    store, metrics = Store(), Metrics()
    reconciler = Reconciler(cluster, store, settings, metrics)
    waker = Waker(_measured(reconciler, metrics))
    progress = ProgressServer(cluster, store, metrics, waker.wake)
    pages = await _pages(settings, store, metrics, waker)
    leadership = Leadership(cluster, settings)
    try:
        await leadership.acquire()
        metrics.leading.set(1)
        if settings.progress_url is not None:
            known = await certificates.authority(cluster, settings)
            reconciler.certificate = known.certificate.decode()
            context = certificates.server_context(known, settings, datetime.now(UTC))
            await progress.start(settings.progress_port, context)
        reconciler.missing_fields = await _compare_schema(cluster, metrics)
        await _until_one_ends(
            _watch(settings, store, waker),
            leadership.keep(),
            _resync(settings, store, waker),
            _until_schema_fits(cluster, reconciler, metrics, waker),
        )
        with contextlib.suppress(Exception):
            await leadership.release()
    finally:
        await waker.close()
        await progress.stop()
        await pages.cleanup()
        await cluster.close()


def _measured(reconciler: Reconciler, metrics: Metrics):  # type: ignore[no-untyped-def]
    async def look(key: Key) -> float | None:
        with metrics.looks.time(), metrics.errors.count_exceptions():
            return await reconciler.reconcile(key)

    return look


async def _watch(settings: Settings, store: Store, waker: Waker) -> None:
    """Let kopf watch until SIGTERM or SIGINT ends it."""
    registry = kopf.OperatorRegistry()
    handlers.register(registry, store, waker.wake)
    options = kopf.OperatorSettings()
    handlers.configure(options)
    await kopf.operator(
        registry=registry,
        settings=options,
        clusterwide=not settings.watched,
        namespaces=settings.watched,
        standalone=True,
    )


async def _compare_schema(cluster: Cluster, metrics: Metrics) -> tuple[str, ...]:
    missing = missing_fields(await cluster.served_schema())
    metrics.schema_behind.set(len(missing))
    if missing:
        log.error("the served CRD lacks %s; no run is started until it is updated", ", ".join(missing[:20]))
    return missing


async def _until_schema_fits(cluster: Cluster, reconciler: Reconciler, metrics: Metrics, waker: Waker) -> None:
    """Compare again while the CRD is behind; wake everything once it is not."""
    while True:
        await asyncio.sleep(SCHEMA_EVERY_S)
        if reconciler.missing_fields:
            reconciler.missing_fields = await _compare_schema(cluster, metrics)
            if not reconciler.missing_fields:
                for key in tuple(reconciler.store.runs):
                    waker.wake(key)


async def _resync(settings: Settings, store: Store, waker: Waker) -> None:
    """Look at every run again from time to time, whatever the watches said."""
    while True:
        await asyncio.sleep(settings.resync_seconds)
        for key in tuple(store.runs):
            waker.wake(key)


async def _until_one_ends(*work) -> None:  # type: ignore[no-untyped-def]
    tasks = [asyncio.ensure_future(each) for each in work]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


async def _pages(settings: Settings, store: Store, metrics: Metrics, waker: Waker) -> web.AppRunner:
    """/metrics and /healthz, in plain HTTP."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(store), content_type="text/plain")

    async def health(request: web.Request) -> web.Response:
        silent = store.runs and time.monotonic() - waker.last_look > max(SILENT_S, 3 * settings.resync_seconds)
        return web.Response(status=500 if silent else 200, text="silent" if silent else "ok")

    application = web.Application()
    application.router.add_get("/metrics", page)
    application.router.add_get("/healthz", health)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=settings.metrics_port).start()
    return runner


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
