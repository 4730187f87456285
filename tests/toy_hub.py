"""A hub of models on this machine: enough of the protocol for listing and reading one repository.

`folder` is served as ORG/NAME. `mode` is open, gated (a licence must be accepted) or private (unknown to strangers).
"""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
API = "/api/models/ORG/NAME"


class Hub(BaseHTTPRequestHandler):
    """Answers for one repository, at one commit."""

    folder: Path
    mode: str

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/") and not path.startswith(API):
            return self._refuse(404, "RepoNotFound")
        if self.mode == "private" or (self.mode == "gated" and "/resolve/" in path):
            return self._refuse(401, "RepoNotFound" if self.mode == "private" else "GatedRepo")
        if "/tree/" in path:
            return self._json(self._tree())
        if path.startswith(API + "/revision/") and path.rsplit("/", 1)[1] not in ("main", "v1", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        if path.startswith(API):
            return self._json({"id": "ORG/NAME", "sha": COMMIT, "siblings": [], "private": False})
        return self._file(self.folder / path.split("/resolve/")[1].split("/", 1)[1])

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}").get("paths", [])
        self._json([entry for entry in self._tree() if entry["path"] in wanted])

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _tree(self) -> list[dict[str, object]]:
        return [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": _digest(path)}
            for path in sorted(self.folder.iterdir())
        ]

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, path: Path) -> None:
        content, headers = path.read_bytes(), {"ETag": f'"{_digest(path)}"', "X-Repo-Commit": COMMIT}
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, last = asked.removeprefix("bytes=").split("-")
            end = int(last) + 1 if last else len(content)
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
            return self._send(206, content[int(first) : end], headers)
        return self._send(200, content, headers)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
