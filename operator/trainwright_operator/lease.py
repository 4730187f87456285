"""One operator at a time: a Lease that is renewed, waited for, and whose loss ends the process.

As client-go does it: a holder that has not renewed for `lease_seconds` by our own clock is given up. Clocks of two
machines are never compared.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from trainwright_operator.cluster import Cluster
from trainwright_operator.errors import ApiError, Conflict, Exists, LeaseLost, NotFound
from trainwright_operator.settings import Settings

API = "coordination.k8s.io/v1"
log = logging.getLogger(__name__)


class Leadership:
    """Holds the Lease of this operator."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster, self._settings = cluster, settings
        self._lease: dict[str, Any] | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self._renewed = 0.0

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        while not await self._try():
            await asyncio.sleep(self._settings.lease_seconds / 7.5)
        log.info("leading as %s", self._settings.identity)

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LeaseLost: somebody else holds it, or it could not be renewed in time.
        """
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 7.5)
            try:
                held = await self._try()
            except ApiError as error:
                log.warning("the Lease could not be renewed: %s", error)
                held = time.monotonic() - self._renewed < self._settings.lease_seconds * 2 / 3
            if not held:
                raise LeaseLost(f"the Lease {self._settings.lease} is lost")

    async def release(self) -> None:
        """Give it back, so that a successor need not wait."""
        if self._lease is not None:
            self._lease["spec"]["holderIdentity"] = ""
            await self._cluster.replace(self._lease)

    async def _try(self) -> bool:
        """Take or renew the Lease; False if it is somebody else's."""
        try:
            there = await self._cluster.get(API, "Lease", self._settings.namespace, self._settings.lease)
        except NotFound:
            return await self._write(None)
        spec = there.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._settings.identity):
            version = there["metadata"]["resourceVersion"]
            if self._seen[0] != version:
                self._seen = (version, time.monotonic())
            if time.monotonic() - self._seen[1] < float(spec.get("leaseDurationSeconds") or 0):
                return False
        return await self._write(there)

    async def _write(self, there: dict[str, Any] | None) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (there or {}).get("spec") or {}
        same = before.get("holderIdentity") == self._settings.identity
        spec = {
            "holderIdentity": self._settings.identity,
            "leaseDurationSeconds": max(1, round(self._settings.lease_seconds)),
            "renewTime": now,
            "acquireTime": before.get("acquireTime") if same else now,
            "leaseTransitions": (before.get("leaseTransitions") or 0) + (0 if same else 1),
        }
        manifest: dict[str, Any] = there or {
            "apiVersion": API,
            "kind": "Lease",
            "metadata": {"name": self._settings.lease, "namespace": self._settings.namespace},
        }
        manifest = {**manifest, "apiVersion": API, "kind": "Lease", "spec": spec}
        try:
            write = self._cluster.replace if there else self._cluster.create
            self._lease = await write(manifest)
        except (Conflict, Exists):
            return False
        self._renewed = time.monotonic()
        return True
