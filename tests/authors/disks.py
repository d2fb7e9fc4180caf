"""Two recorded authors at work on files: each saves to a disk of their own, through real engines.

Knows how to hold back what one does until the other has seen it in the recording; judges nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from crdtsync.core.replica import events as ev
from crdtsync.core.text.diff import Edit, diff
from crdtsync.core.wire.codec import decode_from_hub
from crdtsync.core.wire.messages import Relay
from crdtsync.testing.clock import Clock, Streams, Trace
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_network import VirtualLink
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.authors.recorded import Recorded, Run, View

PATH = "friends.md"
DEADLINE_S = 60.0
"""Virtual: longer than anything settles."""
ON_ITS_WAY_S = 0.02
"""Longer than what was sent takes to arrive."""


class Desk(VirtualReplica):
    """A replica whose frames from the hub can be held back, in order, while its session stays live."""

    def __init__(self, name: str, clock: Clock, rng: Random, trace: Trace, hub: VirtualHub) -> None:
        super().__init__(name, clock, rng, trace, hub)
        self.link = VirtualLink(
            clock, rng, hub, lambda: self.handle(ev.Connected()), self._arrive, self._hung_up
        )
        self.link.latency_s = 0.0005
        self.work_s = 0.0003
        self.holding = False
        self.frames = 0
        """How many have come from the hub, ever."""
        self.updates = 0
        """How many updates of others were in them."""
        self._held: deque[bytes | str] = deque()
        self._taken = 0

    def handle(self, event: ev.Event) -> None:
        """Without a line in the trace: texts of this size, this often, would take most of the time."""
        if self.engine is not None:
            self._carry_out(self.engine.handle(event, self._clock.now_s))

    def take_frames(self, through: int) -> None:
        """Let the engine have the frames that were held, up to that one."""
        while self._held and self._taken < through:
            self._take(self._held.popleft())

    @property
    def quiet(self) -> bool:
        """Nothing to be read from disk or written to it."""
        assert self.engine is not None
        pending = self.engine.status.pending
        return not (pending.ingest or pending.receive or pending.materialise)

    @property
    def live(self) -> bool:
        assert self.engine is not None
        return self.engine.status.connected

    def _arrive(self, frame: bytes | str) -> None:
        self.frames += 1
        if isinstance(frame, bytes) and isinstance(message := decode_from_hub(frame), Relay):
            self.updates += len(message.entries)
        if self.holding or self._held:
            self._held.append(frame)
        else:
            self._take(frame)

    def _take(self, frame: bytes | str) -> None:
        self._taken += 1
        self.handle(ev.TextFrame(frame) if isinstance(frame, str) else ev.BinaryFrame(frame))

    def _hung_up(self, reason: str) -> None:
        self._held.clear()
        self._taken = self.frames
        self.handle(ev.Disconnected(reason))


@dataclass(slots=True)
class Author:
    """One author at a desk. ``recorded`` is the text that the recording shows at this moment."""

    desk: Desk
    in_place: bool
    """Whether this author's editor writes into the file; else it renames a new one over it."""
    recorded: View = field(default_factory=View)
    seen: int = 0
    """How many of the other's transactions."""
    frames_at: dict[int, int] = field(default_factory=dict)
    """By how many of the other's transactions there were: the frames that had come by then."""

    @property
    def on_disk(self) -> str:
        return self.desk.disk.nodes[PATH].data.decode()

    def save(self, text: str) -> None:
        disk = self.desk.disk
        if self.in_place:
            disk.write_into(disk.nodes[PATH], text.encode())
        else:
            disk.put(PATH, disk.new_inode(NodeKind.FILE, text.encode()))


@dataclass(slots=True)
class Counts:
    """What happened. Of ``views``, how often someone took in what the other had done."""

    saves: int = 0
    views: int = 0
    views_apart: int = 0
    """Views after which the disk did not hold the very text of the recording."""
    apart_most: int = 0
    """The most characters by which it differed."""
    mapped: int = 0
    """Keystrokes whose place was found through a comparison of the two."""
    elsewhere: int = 0
    """Deletions of a character that did not stand where expected; one that looks alike was deleted."""
    nowhere: int = 0
    """Deletions for which there was none."""
    raced: int = 0
    """Saves in the instant between the look at a file and its replacement."""
    updates: int = 0
    """What the hub was sent in all."""


class Pair:
    """Two authors and a hub."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.counts = Counts()
        self._clock = Clock()
        self._typed: list[Run | None] = [None, None]
        """By each author, and about to be saved."""
        self._raced = [False, False]
        """Whether each author's last save was made aside of the file, which does not show it yet."""
        self._streams = Streams(1)
        trace = Trace(self._clock)
        self._hub = VirtualHub(self._clock, self._streams["hub"], trace)
        self.authors = tuple(
            Author(Desk(name, self._clock, self._streams[name], trace, self._hub), in_place=name == "a")
            for name in ("a", "b")
        )
        self._hub.start()
        first = self.authors[0].desk
        first.disk.put(PATH, first.disk.new_inode(NodeKind.FILE))
        for author in self.authors:
            author.desk.start()
        self.settle()
        assert all(author.on_disk == "" for author in self.authors)

    # -- two ways of being apart ------------------------------------------------------------------------

    def hold_back(self, runs: Iterable[Run]) -> None:
        """Save each run; what the hub relays to an author waits until they saw it in the recording.

        Both sessions stay live all the time.
        """
        for author in self.authors:
            author.desk.holding = True
        for run in runs:
            author, other = self.authors[run.author], self.authors[1 - run.author]
            if run.sees > author.seen:
                author.desk.take_frames(author.frames_at[run.sees])
                self._look(author, run.author, run.sees)
            before = other.desk.updates
            if self._type(author, run):
                self._until(lambda: other.desk.updates > before and author.desk.quiet)  # noqa: B023
            other.frames_at[run.moments[-1].own + 1] = other.desk.frames
        for author in self.authors:
            author.desk.holding = False
            author.desk.take_frames(author.desk.frames)

    def hang_up(self, runs: Iterable[Run]) -> None:
        """Save each run with nobody connected, but for both whenever one is to see what the other did."""
        self._hang_up()
        done = [0, 0]
        for run in runs:
            author = self.authors[run.author]
            if run.sees > author.seen:
                self.settle()
                for index, each in enumerate(self.authors):
                    self._look(each, index, done[1 - index])
                self._hang_up()
            self._type(author, run)
            done[run.author] = run.moments[-1].own + 1

    def let_go(self, runs: Iterable[Run], pause_s: float, latency_s: float, cut: float = 0.0) -> None:
        """Save each run after a pause, with everything on its way at any time.

        An author waits only for what they must have seen; mostly they have more before them by then.
        ``cut``: the chance, at each save, that a connection breaks with all that is on its way. Without it a
        save waits, until its author goes on, for the instant in which the replica is to replace the file.
        Not both: a save that raced is kept aside until the session is live again, and its author, who goes on
        in the file without it, types twice at one place.
        """
        rng = self._streams["pauses"]
        for index, author in enumerate(self.authors):
            author.desk.link.latency_s = latency_s
            if not cut:
                author.desk.race = lambda path, index=index: self._race(index)  # type: ignore[misc]
        for run in runs:
            author = self.authors[run.author]
            if rng.random() < cut:
                rng.choice(self.authors).desk.link.cut()
            self._save_typed(run.author)
            if self._raced[run.author]:
                self._raced[run.author] = False
                self._until(lambda: author.desk.quiet)  # noqa: B023 - what raced is in the file again
            if run.sees > author.seen:
                self._save_typed(1 - run.author)
                self._until(lambda: all(each.desk.live for each in self.authors))
                self.pass_time(4 * latency_s + ON_ITS_WAY_S)
                self._look(author, run.author, run.sees)
            self._typed[run.author] = run
            self.pass_time(rng.expovariate(1 / pause_s))
        for index in (0, 1):
            self._save_typed(index)
            self.authors[index].desk.race = lambda path: None

    def settle(self) -> None:
        """Connect whoever is not, and wait until both disks and the hub have everything."""
        for author in self.authors:
            author.desk.link.online = True
            author.desk.handle(ev.NetworkChanged())
        for _ in range(3):
            flushes = [(author.desk, author.desk.flush()) for author in self.authors]
            self._until(lambda: all(number in desk.flushed for desk, number in flushes))  # noqa: B023
        self.counts.updates = self._hub.updates

    def finish(self) -> None:
        """Everything is delivered to everyone."""
        self.settle()
        for index, author in enumerate(self.authors):
            self._look(author, index, len(self.recorded.of(1 - index)))

    def _race(self, index: int) -> None:
        if self._typed[index] is not None:
            self.counts.raced += 1
            self._raced[index] = True
            self._save_typed(index)

    def _save_typed(self, index: int) -> None:
        run, self._typed[index] = self._typed[index], None
        if run is not None:
            self._type(self.authors[index], run)

    # -- steps ------------------------------------------------------------------------------------------

    def _look(self, author: Author, index: int, through: int) -> None:
        """The author now sees that many of the other's transactions."""
        for moment in self.recorded.of(1 - index)[author.seen : through]:
            author.recorded.take(moment.operation)
        author.seen = max(author.seen, through)
        self._until(lambda: author.desk.quiet)
        self.pass_time(ON_ITS_WAY_S)
        counts = self.counts
        counts.views += 1
        if author.on_disk != author.recorded.text:
            counts.views_apart += 1
            counts.apart_most = max(counts.apart_most, apart(author.recorded.text, author.on_disk))

    def _type(self, author: Author, run: Run) -> bool:
        """Type and save; returns whether that changes anything."""
        before = text = author.on_disk
        for moment in run.moments:
            shown = author.recorded.text
            edit = author.recorded.take(moment.operation)
            if edit is None:
                continue
            if shown != text:
                self.counts.mapped += 1
                found = self._found(edit, shown, text)
                if found is None:
                    self.counts.nowhere += 1
                    continue
                edit = found
            text = text[: edit.start] + edit.text + text[edit.end :]
        if text == before:
            return False
        self.counts.saves += 1
        author.save(text)
        return True

    def _found(self, edit: Edit, shown: str, text: str) -> Edit | None:
        """Where in ``text`` to do what the recording does in ``shown``."""
        at, replacement = _place(edit.start, diff(shown, text))
        if edit.text:
            return Edit(at, at, edit.text)
        character = shown[edit.start]
        if replacement is None and text[at : at + 1] == character:
            return Edit(at, at + 1, "")
        self.counts.elsewhere += 1
        near = [found for found in (text.rfind(character, 0, at), text.find(character, at)) if found >= 0]
        if not near:
            return None
        at = min(near, key=lambda found: abs(found - at))
        return Edit(at, at + 1, "")

    # -- time -------------------------------------------------------------------------------------------

    def _hang_up(self) -> None:
        for author in self.authors:
            author.desk.link.unplug()
        self.pass_time(ON_ITS_WAY_S)

    def pass_time(self, duration_s: float) -> None:
        self._clock.run_until(self._clock.now_s + duration_s)

    def _until(self, enough: Callable[[], bool]) -> None:
        reached = self._clock.run_until(self._clock.now_s + DEADLINE_S, enough)
        status = [author.desk.engine and author.desk.engine.status for author in self.authors]
        assert reached, f"no end after {DEADLINE_S} s of virtual time: {status}"


def _place(position: int, edits: Iterable[Edit]) -> tuple[int, Edit | None]:
    """Where a position of the text before ``edits`` is after them, and the edit that replaces it, if any."""
    shift = 0
    for edit in edits:
        if position < edit.start:
            break
        if position < edit.end:
            return edit.start + shift + min(position - edit.start, len(edit.text)), edit
        shift += len(edit.text) - (edit.end - edit.start)
    return position + shift, None


def apart(text: str, other: str) -> int:
    """Characters by which the two differ: deleted and inserted."""
    return sum(len(edit.text) + edit.end - edit.start for edit in diff(text, other))


def surplus(text: str, other: str) -> tuple[Counter[str], Counter[str]]:
    """The characters that only the one has, and those that only the other has, wherever they stand."""
    mine, theirs = Counter(text), Counter(other)
    return mine - theirs, theirs - mine
