"""A small client of the API server for the test cluster's own use: JSON in, JSON out, and lists that are followed.

It is no part of what is tested, and does as little as possible. Paths are as in the API (`/api/v1/namespaces`), objects
are plain dicts. Connections are kept, one for each thread.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server refused: `status` is the HTTP status, `reason` the machine's word, the message its sentence, and
    `causes` one object for each field at fault."""

    def __init__(self, status: int, body: bytes) -> None:
        try:
            told = json.loads(body)
        except ValueError:
            told = {}
        self.status = status
        self.reason: str = told.get("reason", "")
        self.causes: list[Object] = (told.get("details") or {}).get("causes", [])
        super().__init__(told.get("message") or body.decode(errors="replace"))


class Api:
    """One user's view of the API server, by certificate or token."""

    def __init__(
        self, server: str, authority: Path, *, certificate: tuple[Path, Path] | None = None, token: str = ""
    ) -> None:
        address = urlsplit(server)
        self._host, self._port = address.hostname or "", address.port or 443
        self._ssl = ssl.create_default_context(cafile=str(authority))
        if certificate is not None:
            self._ssl.load_cert_chain(*map(str, certificate))
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._kept = threading.local()
        self._open: set[http.client.HTTPSConnection] = set()

    def get(self, path: str) -> Object:
        """Get an object or a list."""
        return self.call("GET", path)

    def post(self, path: str, body: Object) -> Object:
        """Create an object."""
        return self.call("POST", path, body)

    def patch(self, path: str, body: Object, *, kind: str = MERGE) -> Object:
        """Patch an object."""
        return self.call("PATCH", path, body, kind)

    def delete(self, path: str, body: Object | None = None) -> Object:
        """Delete an object; the body may hold DeleteOptions."""
        return self.call("DELETE", path, body or {})

    def call(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """Send a request and return the answer. Raises: ApiError if refused, OSError if there is no server."""
        status, answer = self._exchange(method, path, None if body is None else json.dumps(body).encode(), kind)
        if status >= 400:
            raise ApiError(status, answer)
        found: Object = json.loads(answer) if answer.startswith(b"{") else {}
        return found

    def follow(self, path: str, stopping: threading.Event) -> Generator[tuple[str, Object], None, None]:
        """Yield each object of a list, and then every change of it, until `stopping`; outages are waited out.

        The first word is LISTED (again after an outage, for all objects), ADDED, MODIFIED or DELETED.
        """
        while not stopping.is_set():
            try:
                found = self.get(path)
                yield from (("LISTED", item) for item in found["items"])
                yield from self._watch(path, found["metadata"]["resourceVersion"])
            except (OSError, http.client.HTTPException, ApiError, ValueError):
                stopping.wait(0.1)

    def close(self) -> None:
        """Cut all connections, also those that other threads wait at."""
        for connection in list(self._open):
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _exchange(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, bytes]:
        headers = self._headers | {"Content-Type": kind}
        for fresh in (False, True):
            connection = self._connection(fresh)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                # A connection that was kept may have been closed by a server that was started anew.
                connection.close()
                if fresh:
                    raise
        raise AssertionError("unreachable")

    def _connection(self, fresh: bool) -> http.client.HTTPSConnection:
        kept: http.client.HTTPSConnection | None = getattr(self._kept, "connection", None)
        if fresh or kept is None:
            kept = self._kept.connection = self._connect(timeout_s=30)
        return kept

    def _connect(self, *, timeout_s: float | None) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._ssl, timeout=timeout_s)
        self._open.add(connection)
        return connection

    def _watch(self, path: str, version: str) -> Iterator[tuple[str, Object]]:
        connection = self._connect(timeout_s=None)
        try:
            joint = "&" if "?" in path else "?"
            connection.request("GET", f"{path}{joint}watch=1&resourceVersion={version}", headers=self._headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(answer.status, answer.read())
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]
        finally:
            connection.close()
            self._open.discard(connection)
