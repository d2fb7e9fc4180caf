"""The live view of ``join`` on a terminal; sole user of rich. Draws what it is given, decides nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crdtsync.cli.output import files
from crdtsync.core.replica.status import Status
from crdtsync.core.values.ids import printable

ROWS_SHOWN = 8

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
            f"  ·  {files(self.status.entries)}",
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
    """Redraws one scene in place, only when asked to."""

    def __init__(self, scene: Scene, console: Console | None = None) -> None:
        self.scene = scene
        self._console = console or Console()
        self._live = self._new()

    def _new(self) -> Live:
        return Live(self.scene, console=self._console, auto_refresh=False, transient=False)

    def start(self) -> None:
        """Begin, or go on below what has been printed since ``stop``."""
        self._live = self._new()
        self._live.start(refresh=True)

    def redraw(self) -> None:
        self._live.update(self.scene, refresh=True)

    def stop(self) -> None:
        self._live.stop()


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
