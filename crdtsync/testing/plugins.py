"""An editor plugin as those of Teamtype are: it counts, applies or ignores, and never transforms anything.

Messages travel with a delay each way, in order, so that edits cross as they do between processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

from crdtsync.core.editor.bridge import Bridge
from crdtsync.core.editor.positions import Lines, Position
from crdtsync.core.editor.session import EditorSession
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_machine import DIRECTORY
from crdtsync.testing.virtual_replica import VirtualReplica

DELAY_MAX_S = 0.05
LOOK_EVERY_S = 0.1


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
    """A plugin behind a bridge, which connects again when its replica is started anew."""

    def __init__(self, replica: VirtualReplica, clock: Clock, rng: Random, path: str, content: str) -> None:
        self._replica = replica
        self._clock = clock
        self._rng = rng
        self._connection: _Connection | None = None
        self._arrived = {"plugin": 0.0, "bridge": 0.0}
        name = f"{rng.getrandbits(64):016x}"
        self.bridge = Bridge(name, self._to_plugin, self._to_replica)
        self._look()
        self.plugin = Plugin("file://" + quote(f"{DIRECTORY}/{path}"), content, self._to_bridge)

    def _look(self) -> None:
        """Whether the replica is still the same one, every now and then."""
        connection = self._connection
        if connection is not None and not connection.open:
            self._connection = None
            self.bridge.disconnected()
        if self._connection is None and self._replica.engine is not None:
            self._connection = _Connection(self._replica, self._clock, self._rng, self._from_replica)
            self.bridge.connected()
        self._clock.after(LOOK_EVERY_S, self._look)

    def _to_bridge(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode()
        self._later("bridge", lambda: self.bridge.from_editor(line))

    def _to_plugin(self, line: str) -> None:
        self._later("plugin", lambda: self.plugin.hear(json.loads(line)))

    def _to_replica(self, line: str) -> None:
        if self._connection is not None:
            self._connection.send(line)

    def _from_replica(self, connection: _Connection, line: str) -> None:
        if connection is self._connection:
            self.bridge.from_replica(line.encode())

    def _later(self, way: str, action: Callable[[], None]) -> None:
        at = max(self._clock.now_s + self._rng.uniform(0, DELAY_MAX_S), self._arrived[way] + 1e-6)
        self._arrived[way] = at
        self._clock.after(at - self._clock.now_s, action)


class _Connection:
    """Between a bridge and one life of a replica; messages travel in order, and are lost with it."""

    def __init__(
        self,
        replica: VirtualReplica,
        clock: Clock,
        rng: Random,
        heard: Callable[[_Connection, str], None],
    ) -> None:
        self._replica = replica
        self._clock = clock
        self._rng = rng
        self._heard = heard
        self._engine = replica.engine
        self._sinks: dict[int, Callable[[ef.ForPrograms], None]] = {}
        self._arrived = {True: 0.0, False: 0.0}
        self._dropped = False
        replica.programs.append(self._told)
        self._session = EditorSession(
            DIRECTORY,
            lambda given: given,
            self._attach,
            self._detach,
            self._say,
            lambda line: self._later(False, lambda: heard(self, line)),
            self._drop,
            lambda program: 0 if replica.engine is None else replica.engine.taken(program),
        )

    @property
    def open(self) -> bool:
        return not self._dropped and self._replica.engine is self._engine

    def send(self, line: str) -> None:
        self._later(True, lambda: self._session.receive(line))

    def _later(self, outwards: bool, action: Callable[[], None]) -> None:
        at = max(self._clock.now_s + self._rng.uniform(0, DELAY_MAX_S), self._arrived[outwards] + 1e-6)
        self._arrived[outwards] = at
        self._clock.after(at - self._clock.now_s, lambda: action() if self.open else None)

    def _attach(self, sink: Callable[[ef.ForPrograms], None]) -> int:
        self._replica.last_holder += 1
        self._sinks[self._replica.last_holder] = sink
        return self._replica.last_holder

    def _detach(self, holder: int) -> None:
        self._sinks.pop(holder, None)
        self._say(ev.HolderGone(holder))

    def _say(self, event: ev.Said) -> None:
        if self.open:
            self._replica.handle(event)

    def _drop(self, reason: str) -> None:
        self._dropped = True

    def _told(self, effect: ef.ForPrograms) -> None:
        if not self.open:
            return
        for holder in getattr(effect, "holders", None) or (getattr(effect, "holder", 0),):
            if holder in self._sinks:
                self._sinks[holder](effect)


def _range(start: Position, end: Position) -> dict[str, dict[str, int]]:
    return {
        "start": {"line": start.line, "character": start.character},
        "end": {"line": end.line, "character": end.character},
    }
