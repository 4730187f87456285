"""A real headless Chromium, driven over its debugging pipe: opens a file, says what it did, measures, takes pictures.

Nothing is installed for it: the protocol is JSON messages, each ended by a zero byte, on two pipes.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def find_chromium() -> str | None:
    """The browser's program, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass(slots=True, kw_only=True)
class Page:
    """An open page: what it logged, what it asked the network for, and a way to run scripts in it."""

    browser: Browser
    session: str
    logged: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.browser.call("Runtime.evaluate", {"expression": script, "returnByValue": True}, self.session)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, path: Path) -> None:
        """Take a picture of the whole page as PNG."""
        found = self.browser.call("Page.captureScreenshot", {"captureBeyondViewport": True}, self.session)
        path.write_bytes(base64.b64decode(found["data"]))

    def move_pointer(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window."""
        self.browser.call("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y}, self.session)


class Browser:
    """A running Chromium; `open` gives pages."""

    def __init__(self, to_browser: Any, from_browser: Any) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._pages: dict[str, Page] = {}

    def call(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        """Send a command and return its result; events that come first go to their pages."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(
        self, file: Path, *, width: int = 1440, height: int = 900, dark: bool = False, script: bool = True
    ) -> Page:
        """Open a file in a new page and wait until it is loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(browser=self, session=session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", {}, session)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", size, session)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]}, session)
        self.call("Emulation.setScriptExecutionDisabled", {"value": not script}, session)
        self._loaded = False
        self.call("Page.navigate", {"url": file.resolve().as_uri()}, session)
        while not self._loaded:
            self._read()
        return page

    def _read(self) -> dict[str, Any]:
        raw = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "Chromium ended"
            raw += byte
        message: dict[str, Any] = json.loads(raw)
        page = self._pages.get(message.get("sessionId", ""))
        if page is not None:
            self._note(page, message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, page: Page, method: str, event: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            page.requests.append(event["request"]["url"])
        elif method == "Log.entryAdded":
            page.logged.append(event["entry"]["text"])
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening"):
            page.logged.append(f"{method}: {json.dumps(event)[:500]}")


@contextlib.contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """A browser with a profile of its own; it and the profile are gone afterwards."""
    for_browser, to_browser = os.pipe()
    from_browser, of_browser = os.pipe()
    profile = tempfile.mkdtemp(prefix="chromium-")
    # The protocol wants its pipes as descriptors 3 and 4, which only a shell can arrange without a fork hook.
    command = f'exec "$@" 3<&{for_browser} 4>&{of_browser}'
    process = subprocess.Popen(
        ["bash", "-c", command, "bash", program, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(for_browser, of_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(for_browser)
    os.close(of_browser)
    try:
        with os.fdopen(to_browser, "wb") as sink, os.fdopen(from_browser, "rb") as source:
            browser = Browser(sink, source)
            yield browser
            browser.call("Browser.close")
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(profile, ignore_errors=True)
