"""The live view of ``join`` on a terminal; sole user of rich. Draws what it is given, decides nothing."""

from __future__ import annotations

import io
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, cast

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crdtsync.cli.output import plural
from crdtsync.core.replica.status import Status
from crdtsync.core.values.ids import printable

ROWS_SHOWN = 8
STOP_WAITS_S = 2.0

_STATE_STYLE = {
    "starting": "yellow",
    "syncing": "cyan",
    "settled": "green",
    "offline": "yellow",
    "halted": "bold red",
}
_ARROW = {"sent": ("↑", "cyan"), "received": ("↓", "green")}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of recent changes. ``direction`` is "sent" or "received"; ``time`` is shown as it is."""

    direction: str
    path: str
    what: str
    time: str


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A blob under way: ``direction`` "sent" or "received", progress in bytes."""

    direction: str
    name: str
    done_bytes: int
    total_bytes: int


@dataclass(slots=True)
class Scene:
    """Everything that the view shows."""

    room: str
    hub: str
    folder: str
    status: Status | None = None
    reason: str = ""
    transfers: list[TransferRow] = field(default_factory=list)
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=ROWS_SHOWN))

    def copy(self) -> Scene:
        """As it is now, for another thread."""
        changes = deque(self.changes, maxlen=self.changes.maxlen)
        return replace(self, transfers=list(self.transfers), changes=changes)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts: list[Panel | Table | Text] = [self._headline()]
        if self.status is not None and self.status.peers:
            parts.append(self._peers(self.status))
        if self.transfers:
            parts.append(self._transfers())
        if self.changes:
            parts.append(self._changes())
        if self.status is not None and self.status.attention:
            parts.append(self._attention(self.status))
        title = Text.assemble(("crdtsync ", "bold"), (printable(self.room), "bold cyan"))
        yield Panel(Group(*parts), title=title, title_align="left", border_style="dim")

    def _headline(self) -> Text:
        if self.status is None:
            return Text("starting …", style="yellow")
        pending = self.status.pending
        line = Text.assemble(
            (f"● {self.status.state}", _STATE_STYLE[self.status.state]),
            f"  ·  {plural(self.status.entries, 'file')}",
        )
        for label, count in (
            ("to read", pending.ingest),
            ("to send", pending.send),
            ("to receive", pending.receive),
            ("to write", pending.materialise),
        ):
            if count:
                line.append(f" · {count} {label}", style="cyan")
        line.append(f"\n{printable(self.folder)}  ⇄  {printable(self.hub)}", style="dim")
        if self.reason and not self.status.connected:
            line.append(f"\n{printable(self.reason)}", style="yellow")
        return line

    def _peers(self, status: Status) -> Table:
        table = _grid("here")
        for peer in status.peers[:ROWS_SHOWN]:
            editing = ", ".join(printable(path, 60) for path in peer.editing)
            table.add_row(
                Text(printable(peer.name) or "someone", style="bold"),
                Text(f"edits {editing}" if editing else "", style="dim"),
            )
        return _shortened(table, len(status.peers))

    def _transfers(self) -> Table:
        table = _grid("transfers")
        table.add_column(justify="right")
        for row in self.transfers[:ROWS_SHOWN]:
            arrow, style = _ARROW[row.direction]
            table.add_row(
                Text(f"{arrow} {printable(row.name, 48)}", style=style),
                ProgressBar(total=max(row.total_bytes, 1), completed=row.done_bytes, width=24),
                Text(f"{size(row.done_bytes)} of {size(row.total_bytes)}", style="dim"),
            )
        return _shortened(table, len(self.transfers))

    def _changes(self) -> Table:
        table = _grid("recent")
        table.add_column()
        for change in self.changes:
            arrow, style = _ARROW[change.direction]
            table.add_row(
                Text(f"{arrow} {change.time}", style=style),
                Text(printable(change.path, 72)),
                Text(printable(change.what, 72), style="dim"),
            )
        return table

    def _attention(self, status: Status) -> Table:
        table = _grid("attention")
        for item in status.attention[:ROWS_SHOWN]:
            table.add_row(
                Text(printable(item.path, 60) or "this folder", style="bold red"),
                Text(printable(item.message)),
            )
        return _shortened(table, len(status.attention))


class LiveView:
    """Redraws one scene in place, when asked to, from a thread of its own.

    A terminal that takes nothing (Ctrl-S, a stuck connection) costs pictures, and holds nobody up.
    """

    def __init__(self, scene: Scene, fd: int = 1) -> None:
        """``fd`` is the terminal."""
        self.scene = scene
        self._console = Console(file=cast(IO[str], _Terminal(fd)))
        self._live: Live | None = None
        self._latest: Scene | None = None
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._work, name="crdtsync-view", daemon=True)
        self._thread.start()

    def start(self) -> None:
        """Begin, or go on below what has been printed since ``stop``."""
        self._put(partial(self._start, self.scene.copy()))

    def redraw(self) -> None:
        """Draw the scene as it is now; what was to be drawn before is skipped if it has not been yet."""
        with self._lock:
            waits, self._latest = self._latest is not None, self.scene.copy()
        if not waits:
            self._put(self._draw)

    def stop(self) -> None:
        """Leave the last picture on the terminal."""
        self._put(self._stop)

    def lines(self, lines: Sequence[str]) -> None:
        """Print below what is there; not while the picture is shown."""
        self._put(partial(self._console.file.write, "".join(line + "\n" for line in lines)))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until all of that is on the terminal, at most so many seconds; whether it is."""
        return self._idle.wait(timeout_s)

    def close(self) -> None:
        """Stop for good. A terminal that takes nothing is left as it is."""
        self.stop()
        self._jobs.put(None)
        self._thread.join(STOP_WAITS_S)

    def _put(self, job: Callable[[], object]) -> None:
        with self._lock:
            self._idle.clear()
            self._jobs.put(job)

    def _work(self) -> None:
        working = True
        while (job := self._jobs.get()) is not None:
            try:
                if working:
                    job()
            except (OSError, ValueError):
                working = False  # the terminal is gone; who joins a folder goes on all the same
            with self._lock:
                if self._jobs.empty():
                    self._idle.set()

    def _start(self, scene: Scene) -> None:
        # Nothing is redirected: whoever prints meanwhile must not wait for a picture.
        self._live = Live(
            scene,
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _draw(self) -> None:
        with self._lock:
            scene, self._latest = self._latest, None
        if self._live is not None and scene is not None:
            self._live.update(scene, refresh=True)

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()


class _Terminal(io.TextIOBase):
    """Writes without a buffer, whose lock a thread that is stuck would hold when the program ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        rest = memoryview(text.encode("utf-8", "replace"))
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        return len(text)


def size(size_bytes: int) -> str:
    """A number of bytes for a person."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit in ("B", "kB") else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def _grid(title: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.title = Text(title, style="dim italic")
    table.title_justify = "left"
    table.add_column()
    table.add_column(overflow="fold")
    return table


def _shortened(table: Table, count: int) -> Table:
    if count > ROWS_SHOWN:
        table.add_row(Text(f"… +{count - ROWS_SHOWN} more", style="dim"))
    return table
