"""A page in headless Chromium, driven over its debugging protocol; skips, with the reason, without Chromium.

Protocol: https://chromedevtools.github.io/devtools-protocol/. Knows pages, nothing of Yjs.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

from tests.waiting import DEADLINE_S, eventually

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "codemirror"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str | None:
    """Why no page can be opened on this machine, or None."""
    if not any(map(shutil.which, NAMES)):
        return "there is no Chromium on this machine: apt-get install chromium"
    if not (EXAMPLE / "dist" / "main.js").is_file():
        return "the example is not built: run `make node`"
    return None


class Chromium:
    """A browser without a window."""

    def __init__(self) -> None:
        program = next(filter(None, map(shutil.which, NAMES)))
        self._profile = tempfile.TemporaryDirectory(prefix="crdtsync-chromium-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--remote-debugging-port=0",
                "--remote-allow-origins=*",
                f"--user-data-dir={self._profile.name}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        told = Path(self._profile.name) / "DevToolsActivePort"
        eventually(lambda: told.is_file() and told.read_text().count("\n"), "the browser listens")
        self._port = int(told.read_text().split("\n")[0])
        self._sockets = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sockets.close()
        self._process.terminate()
        self._process.wait(DEADLINE_S)
        self._profile.cleanup()

    def open(self, url: str) -> Page:
        address = f"http://127.0.0.1:{self._port}/json/new?about:blank"
        request = urllib.request.Request(address, method="PUT")
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as found:
            target = json.load(found)
        socket = self._sockets.enter_context(connect(target["webSocketDebuggerUrl"], max_size=None))
        page = Page(socket)
        page.go(url)
        return page


class Page:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=DEADLINE_S))
            if message.get("id") == self._last:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        loaded = "document.readyState === 'complete' && location.href !== 'about:blank'"
        eventually(lambda: self.run(loaded), f"{url} is loaded")

    def run(self, script: str) -> Any:
        """The value of an expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, script: str, expected: object) -> None:
        try:
            eventually(lambda: self.run(script) == expected, script)
        except AssertionError as error:
            raise AssertionError(f"{error} is {expected!r}; it is {self.run(script)!r}") from None

    def type(self, text: str) -> None:
        """As a person at the keyboard, wherever the focus is."""
        for character in text:
            if character == "\n":
                for kind in ("keyDown", "keyUp"):
                    self.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r")
            else:
                self.call("Input.insertText", text=character)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
