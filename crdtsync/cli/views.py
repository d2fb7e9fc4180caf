"""How a running ``join`` shows itself: a live view on a terminal, plain lines, or one JSON object a line."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from crdtsync.cli.lines import LineWriter
from crdtsync.cli.output import LINE_MAX_CHARS, plural
from crdtsync.core.replica.effects import AskDiffering
from crdtsync.core.replica.events import Differing
from crdtsync.core.replica.status import Status
from crdtsync.core.values.ids import printable
from crdtsync.errors import CrdtsyncError
from crdtsync.runtime.blob_job import Direction, Transfer

LISTED = 10
_CHOICES = {
    "b": Differing.BOTH,
    "h": Differing.HUB,
    "m": Differing.MINE,
    "n": Differing.NEWEST,
}


class View(Protocol):
    """What a way of showing must be able to do. It alone writes to standard output: two writers tear lines.

    ``announce`` comes before ``start``: ``event`` is for a program, ``text`` for a person.
    """

    def announce(self, event: Mapping[str, object], text: str) -> None: ...

    def start(self) -> None: ...

    def notice(self, kind: str, path: str, message: str) -> None: ...

    def show(
        self, status: Status, transfers: Sequence[Transfer], unreachable: CrdtsyncError | None
    ) -> None: ...

    def comparison(self, question: AskDiffering) -> None: ...

    async def ask(self, question: AskDiffering) -> Differing: ...

    def stop(self) -> None: ...


class JsonView:
    """One object a line, each with an ``event``."""

    def __init__(self, room: str, hub: str, folder: str) -> None:
        self._room, self._hub, self._folder = room, hub, folder
        self._lines = LineWriter(lambda count: json.dumps({"event": "skipped", "lines": count}))
        self._started = False
        self._state = ""

    def announce(self, event: Mapping[str, object], text: str) -> None:
        self._line(event)

    def start(self) -> None:
        self._started = True
        self._line({"event": "joining", "room": self._room, "hub": self._hub, "directory": self._folder})

    def notice(self, kind: str, path: str, message: str) -> None:
        self._line({"event": kind, "path": path, "message": message})

    def show(self, status: Status, transfers: Sequence[Transfer], unreachable: CrdtsyncError | None) -> None:
        if status.state != self._state:
            self._state = status.state
            self._line({"event": "state", "state": status.state, "entries": status.entries})

    def comparison(self, question: AskDiffering) -> None:
        self._line(
            {
                "event": "comparison",
                "identical": question.identical,
                "only_here": list(question.only_here),
                "only_there": list(question.only_there),
                "differing": list(question.differing),
            }
        )

    async def ask(self, question: AskDiffering) -> Differing:
        return Differing.BOTH

    def stop(self) -> None:
        if self._started:
            self._line({"event": "stopped"})
        self._lines.close()

    def _line(self, value: Mapping[str, object]) -> None:
        self._lines.put(json.dumps(value))


class PlainView:
    """Lines for a log or a pipe."""

    def __init__(self, room: str, hub: str, folder: str) -> None:
        self._room, self._hub, self._folder = room, hub, folder
        self._lines = LineWriter(lambda count: f"… {count} lines that nobody read were left out")
        self._started = False
        self._state = ""
        self._reason = ""

    def announce(self, event: Mapping[str, object], text: str) -> None:
        self._line(text)

    def start(self) -> None:
        self._started = True
        self._line(f"joining {self._room} at {self._hub} in {self._folder}")

    def notice(self, kind: str, path: str, message: str) -> None:
        if kind == "offline":
            if message != self._reason:
                self._reason = message
                self._line(f"waiting for the hub: {message}")
        elif kind in ("sent", "received"):
            self._line(f"{'↑' if kind == 'sent' else '↓'} {path} {message}")
        elif kind == "connected":
            self._reason = ""
            self._line(message)
        else:
            self._line(f"{path}: {message}" if path else message)

    def show(self, status: Status, transfers: Sequence[Transfer], unreachable: CrdtsyncError | None) -> None:
        if status.state != self._state:
            self._state = status.state
            if status.state == "settled":
                self._line(f"settled: {plural(status.entries, 'file')}")

    def comparison(self, question: AskDiffering) -> None:
        for line in comparison_lines(question):
            self._line(line)

    async def ask(self, question: AskDiffering) -> Differing:
        if not sys.stdin.isatty():
            self._line("without a terminal to ask at, both versions of a differing file are kept")
            return Differing.BOTH
        return await asyncio.to_thread(_ask)

    def stop(self) -> None:
        if self._started:
            self._line("stopped")
        self._lines.close()

    def _line(self, text: str) -> None:
        self._lines.put(printable(text, LINE_MAX_CHARS))


class TerminalView:
    """A picture that is redrawn in place."""

    def __init__(self, room: str, hub: str, folder: str) -> None:
        from crdtsync.cli.render import LiveView, Scene

        self._scene = Scene(room, hub, folder)
        self._live = LiveView(self._scene)

    def announce(self, event: Mapping[str, object], text: str) -> None:
        self._live.lines([printable(text, LINE_MAX_CHARS)])

    def start(self) -> None:
        self._live.start()

    def notice(self, kind: str, path: str, message: str) -> None:
        from crdtsync.cli.render import Change

        if kind in ("sent", "received"):
            now = time.strftime("%H:%M:%S")
            self._scene.changes.append(Change(kind, path, message, now))

    def show(self, status: Status, transfers: Sequence[Transfer], unreachable: CrdtsyncError | None) -> None:
        from crdtsync.cli.render import TransferRow

        self._scene.status = status
        self._scene.reason = "" if unreachable is None else str(unreachable)
        self._scene.transfers = [
            TransferRow(
                "sent" if transfer.direction is Direction.UP else "received",
                transfer.path or transfer.digest[:12],
                transfer.done_bytes,
                transfer.total_bytes,
            )
            for transfer in transfers
        ]
        self._live.redraw()

    def comparison(self, question: AskDiffering) -> None:
        self._live.stop()
        self._live.lines([printable(line, LINE_MAX_CHARS) for line in comparison_lines(question)])
        if not question.differing:
            self._live.start()

    async def ask(self, question: AskDiffering) -> Differing:
        if not sys.stdin.isatty():
            return Differing.BOTH
        choice = await asyncio.to_thread(self._ask_below)
        self._live.start()
        return choice

    def _ask_below(self) -> Differing:
        self._live.wait()
        return _ask()

    def stop(self) -> None:
        self._live.close()


def comparison_lines(question: AskDiffering) -> list[str]:
    """What a first join will do, for a person."""
    lines = [f"{plural(question.identical, 'file')} identical here and in the room"]
    for paths, text in (
        (question.only_here, "only here: sent to the room"),
        (question.only_there, "only in the room: written here"),
        (question.differing, "different here and in the room"),
    ):
        if paths:
            lines.append(f"{plural(len(paths), 'file')} {text}")
            lines += [f"    {path}" for path in paths[:LISTED]]
            if len(paths) > LISTED:
                lines.append(f"    … +{len(paths) - LISTED} more")
    return lines


def _ask() -> Differing:
    """Ask on the terminal until the answer is one; the end of input keeps both."""
    while True:
        question = "Files that differ: keep [b]oth, the [h]ub's, [m]ine, or the [n]ewest? [b] "
        print(question, end="", flush=True)
        try:
            answer = input().strip().lower()
        except EOFError:
            return Differing.BOTH
        if not answer:
            return Differing.BOTH
        choice = _CHOICES.get(answer[0])
        if choice is not None:
            return choice
