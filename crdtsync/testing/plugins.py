"""An editor plugin as those of Teamtype are: it counts, applies or ignores, and never transforms anything.

Messages travel with a delay each way, in order, so that edits cross as they do between processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

from crdtsync.core.editor.positions import Lines, Position
from crdtsync.core.editor.session import EditorSession
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_machine import DIRECTORY
from crdtsync.testing.virtual_replica import VirtualReplica

DELAY_MAX_S = 0.05


class Plugin:
    """One file in one editor: what its buffer shows, and how it counts."""

    def __init__(self, uri: str, content: str, send: Callable[[dict[str, Any]], None]) -> None:
        self.uri = uri
        self.buffer = content
        self.tracking = False
        self.editor_revision = 0
        self.daemon_revision = 0
        self.ignored = 0
        self.errors: list[str] = []
        self.cursors: dict[str, Any] = {}
        self._send = send
        self._number = 0
        self._request("open", {"uri": uri, "content": content})

    def replace(self, start: int, end: int, text: str) -> None:
        """The person replaces characters of the buffer."""
        lines = Lines(self.buffer)
        delta = [{"range": _range(lines.position(start), lines.position(end)), "replacement": text}]
        self.buffer = self.buffer[:start] + text + self.buffer[end:]
        self.editor_revision += 1
        self._request("edit", {"uri": self.uri, "revision": self.daemon_revision, "delta": delta})

    def type(self, text: str) -> None:
        self.replace(len(self.buffer), len(self.buffer), text)

    def move(self, anchor: int, head: int) -> None:
        lines = Lines(self.buffer)
        self._request(
            "cursor", {"uri": self.uri, "ranges": [_range(lines.position(anchor), lines.position(head))]}
        )

    def close(self) -> None:
        self._send({"jsonrpc": "2.0", "method": "close", "params": {"uri": self.uri}})

    def hear(self, message: dict[str, Any]) -> None:
        if "result" in message:
            self.tracking = True
        elif "error" in message:
            self.errors.append(message["error"]["message"])
        elif message["method"] == "edit":
            self._apply(message["params"])
        elif message["method"] == "cursor":
            self.cursors[message["params"]["userid"]] = message["params"]["ranges"]

    def _apply(self, params: dict[str, Any]) -> None:
        if params["revision"] != self.editor_revision:
            self.ignored += 1
            return
        assert len(params["delta"]) == 1
        for change in params["delta"]:
            lines = Lines(self.buffer)
            start = lines.offset(Position(**change["range"]["start"]))
            end = lines.offset(Position(**change["range"]["end"]))
            assert start <= end and (start < end or change["replacement"]), "an empty edit"
            self.buffer = self.buffer[:start] + change["replacement"] + self.buffer[end:]
        self.daemon_revision += 1

    def _request(self, method: str, params: dict[str, Any]) -> None:
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})


class VirtualEditor:
    """A connection to a virtual replica with one open file; it ends with the replica's process."""

    def __init__(self, replica: VirtualReplica, clock: Clock, rng: Random, path: str, content: str) -> None:
        self._replica = replica
        self._clock = clock
        self._rng = rng
        self._holders: list[int] = []
        self._sinks: dict[int, Callable[[ef.ForPrograms], None]] = {}
        self._arrived = {True: 0.0, False: 0.0}
        self._engine = replica.engine
        replica.programs.append(self._told)
        self.dropped: str | None = None
        self.session = EditorSession(
            DIRECTORY, lambda given: given, self._attach, self._detach, self._say, self._hear, self._drop
        )
        self.plugin = Plugin("file://" + quote(f"{DIRECTORY}/{path}"), content, self._send)

    @property
    def connected(self) -> bool:
        """Whether the process that it is connected to still runs."""
        return self.dropped is None and self._engine is not None and self._replica.engine is self._engine

    def end(self) -> None:
        """The editor is closed."""
        if self.connected:
            self.session.end()
        self._leave()

    def _leave(self) -> None:
        if self._told in self._replica.programs:
            self._replica.programs.remove(self._told)

    def _send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message)
        self._later(True, lambda: self.session.receive(line))

    def _hear(self, line: str) -> None:
        self._later(False, lambda: self.plugin.hear(json.loads(line)))

    def _later(self, outwards: bool, action: Callable[[], None]) -> None:
        at = max(self._clock.now_s + self._rng.uniform(0, DELAY_MAX_S), self._arrived[outwards] + 1e-6)
        self._arrived[outwards] = at
        self._clock.after(at - self._clock.now_s, lambda: action() if self.connected else None)

    def _attach(self, sink: Callable[[ef.ForPrograms], None]) -> int:
        self._replica.last_holder += 1
        holder = self._replica.last_holder
        self._sinks[holder] = sink
        return holder

    def _detach(self, holder: int) -> None:
        self._sinks.pop(holder, None)
        self._say(ev.HolderGone(holder))

    def _say(self, event: ev.Said) -> None:
        if self.connected:
            self._replica.handle(event)

    def _drop(self, reason: str) -> None:
        self.dropped = reason

    def _told(self, effect: ef.ForPrograms) -> None:
        holders = getattr(effect, "holders", None) or (getattr(effect, "holder", 0),)
        for holder in holders:
            if holder in self._sinks:
                self._sinks[holder](effect)


def _range(start: Position, end: Position) -> dict[str, dict[str, int]]:
    return {
        "start": {"line": start.line, "character": start.character},
        "end": {"line": end.line, "character": end.character},
    }
