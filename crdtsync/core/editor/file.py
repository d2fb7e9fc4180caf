"""One file that an editor has open: its revisions, its line endings, and what the engine is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from crdtsync.core.editor import answers, messages
from crdtsync.core.editor.endings import Endings, hides_endings
from crdtsync.core.editor.positions import Lines
from crdtsync.core.editor.revisions import RevisionError, Revisions, Told, ascending
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.text.diff import Edit, diff
from crdtsync.core.values.ids import EntryId

Say = Callable[[ev.Said], None]
Send = Callable[[str], None]


class OpenFile:
    """From the open request on. ``holder`` is its number at the replica, of its own."""

    def __init__(
        self, holder: int, wanted: messages.Open, path: str, bridge: str, say: Say, send: Send
    ) -> None:
        self.holder = holder
        self.uri = wanted.uri
        self.path = path
        self.text: EntryId | None = None
        """None until it is open."""
        self._wanted = wanted
        self._bridge = bridge
        self._say = say
        self._send = send
        self._endings: Endings
        self._revisions: Revisions
        self._refusal: str | None = None

    # -- what the replica tells -----------------------------------------------------------------------

    def opened(self, text: EntryId, content: str) -> list[Told]:
        """The room wins; returns what to tell after the answer. Raises TooFarBehind."""
        self.text = text
        shown = self._wanted.content
        self._endings = Endings(content, hidden=hides_endings(content, shown))
        self._revisions = Revisions(shown)
        return self._revisions.told(diff(shown, self._endings.shown))

    def switched(self, text: EntryId, content: str) -> None:
        """Another text has come to stand at its path. Raises TooFarBehind."""
        self.text = text
        shown = self._revisions.text
        self._endings = Endings(content, hidden=hides_endings(content, shown))
        self.tell(self._revisions.told(diff(shown, self._endings.shown)))

    def changed(self, edits: Sequence[Edit], origin: str) -> None:
        """Raises TooFarBehind."""
        made = self._endings.to_shown(edits)
        self.tell(self._revisions.told(made, from_disk=origin == "disk"))

    def cursors(self, person: str, name: str, ranges: Iterable[tuple[int, int]]) -> None:
        to_shown = self._endings.to_shown_offset
        told = [(to_shown(anchor), to_shown(head)) for anchor, head in ranges]
        self._send(answers.cursor(self.uri, person, name, told, self._revisions.text))

    def refused(self, reason: str) -> None:
        """The last edit was not made."""
        self._refusal = reason

    # -- what the editor says ---------------------------------------------------------------------------

    def edit(self, params: messages.EditParams) -> str | None:
        """Returns why it was not made, if it was not; ``again`` tells the editor what follows."""
        revisions = self._revisions
        revisions.count()
        try:
            shown = revisions.shown_at(params.revision)
            edits = ascending(params.edits(shown))
            before = revisions.text
            made = revisions.edited(params.revision, edits)
        except RevisionError as problem:
            return str(problem)
        except ValueError as problem:
            return f"the delta does not fit: {problem}"
        reason = self._make(self._endings.to_text(made), params.mark)
        if reason is not None:
            revisions.refused(made, before)
        return reason

    def invalid(self) -> None:
        """It says that it made an edit, and not which: it counts."""
        self._revisions.count()

    def again(self) -> None:
        """After an edit: what the editor may not have applied is told again."""
        self.tell(self._revisions.again())

    def place(self, params: messages.CursorParams) -> None:
        lines = Lines(self._revisions.text)
        ranges = tuple(
            (self._offset(lines, each.start), self._offset(lines, each.end)) for each in params.ranges
        )
        self._put(ranges)

    def leave(self) -> None:
        """The person's cursor is elsewhere."""
        self._put(())

    def _offset(self, lines: Lines, position: messages.RangeEnd) -> int:
        return self._endings.to_text_offset(lines.nearest(position.value))

    def _put(self, ranges: tuple[tuple[int, int], ...]) -> None:
        assert self.text is not None
        self._say(ev.PlaceCursors(self.holder, self.text, ranges))

    def ask(self) -> None:
        """Ask the replica for the text."""
        content = self._wanted.content
        self._say(ev.OpenText(self.holder, self.path, create=True, writes=True, content=content))

    def _mark(self, number: int | None) -> ev.Mark | None:
        return ev.Mark(self._bridge, number) if self._bridge and number is not None else None

    def _make(self, edits: tuple[Edit, ...], number: int | None) -> str | None:
        """Edits of the document; returns why they were refused, if they were."""
        mark = self._mark(number)
        if not edits and mark is None:
            return None
        assert self.text is not None
        self._refusal = None
        shown = self._revisions.shown
        shown = shown.replace("\n", "\r\n") if self._endings.hidden else shown
        self._say(ev.EditText(self.holder, self.text, edits, shown, mark))
        if self._refusal is None:
            self._endings.take(edits)
        return self._refusal

    def tell(self, told: Iterable[Told]) -> None:
        for each in told:
            self._send(answers.edit(self.uri, each.revision, each.edit, each.before))


Sink = Callable[[ef.ForPrograms], None]
Attach = Callable[[Sink], int]
