"""Unmodified Yjs clients in a Node process, driven over lines of JSON; skips, with the reason, without Node.

``make node`` installs the packages. ``CRDTSYNC_NEED_NODE=1`` makes a missing Node a failure, as in CI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.waiting import DEADLINE_S, eventually

HERE = Path(__file__).resolve().parent
Y_WEBSOCKET = ("y-websocket-3", "y-websocket-2")
HOCUSPOCUS = ("hocuspocus-4", "hocuspocus-3", "hocuspocus-2")
CLIENTS = (*Y_WEBSOCKET, *HOCUSPOCUS)


def missing() -> str | None:
    """Why there can be no Node peer on this machine, or None."""
    if shutil.which("node") is None:
        return "there is no node on this machine: apt-get install nodejs npm, then `make node`"
    if not (HERE / "node_modules" / "yjs").is_dir():
        return "the Yjs clients are not installed: run `make node`"
    return None


def need(reason: str | None) -> None:
    """Skip a test that cannot run here; fail it where nothing may be skipped."""
    if reason is not None:
        assert not os.environ.get("CRDTSYNC_NEED_NODE"), reason
        pytest.skip(reason)


class Node:
    """A Node process with any number of clients."""

    def __init__(self) -> None:
        need(missing())
        self._process = subprocess.Popen(
            ["node", str(HERE / "peer.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait(DEADLINE_S)
        self._process.stdout.close()

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def open(self, client: str, url: str, name: str, **options: Any) -> Peer:
        """A client on a document; ``text`` or ``state`` is what it has before it connects."""
        self._last += 1
        self.do("open", id=self._last, client=client, url=url, name=name, **options)
        return Peer(self, self._last)


class Peer:
    """One document at one client."""

    def __init__(self, node: Node, number: int) -> None:
        self._node = node
        self.number = number

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        return self._node.do(what, id=self.number, **arguments)

    @property
    def status(self) -> dict[str, Any]:
        return self.do("status")

    @property
    def text(self) -> str:
        return str(self.status["text"])

    def insert(self, text: str, at: int = -1) -> None:
        """``at`` counts UTF-16 units, as JavaScript does; -1 is the end."""
        self.do("insert", at=at, text=text)

    def until(self, holds: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [self.status]
            return bool(holds(found[0]))

        try:
            eventually(there, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the client is {found}") from None
        return found[0]

    def until_synced(self) -> Self:
        self.until(lambda status: status["synced"], "synced")
        return self

    def until_text(self, text: str) -> None:
        self.until(lambda status: status["text"] == text, f"the text {text[:80]!r}")

    def until_stored(self) -> None:
        """Hocuspocus only: the hub has acknowledged everything."""
        self.until(lambda status: status["synced"] and not status["unsynced"], "no unsynced changes")

    def until_sees(self, name: str) -> dict[str, Any]:
        """Wait until somebody of that name is here; returns the state."""

        def found(status: dict[str, Any]) -> list[dict[str, Any]]:
            people: list[dict[str, Any]] = status["people"]
            return [state for state in people if state.get("user", {}).get("name") == name]

        return found(self.until(found, f"{name} is here"))[0]
