"""One text as a Yjs document: sole user of pycrdt's Text.

Knows how to keep it sound whatever comes in, on one thread; where updates come from and go to, others know.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NoReturn

import pycrdt
from pycrdt import Doc, Text

from crdtsync.core.text import statevector
from crdtsync.core.text.causal import CausalBuffer, buffer_of_first, is_news, is_ready
from crdtsync.core.text.deltas import Deltas, edits_of, positions
from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.first import read_first
from crdtsync.core.text.merging import Postponed, Shape
from crdtsync.core.text.offsets import to_utf8_many, utf8_length
from crdtsync.core.text.refusals import reraise_unless_refused
from crdtsync.core.text.typist import Typed, Typist
from crdtsync.core.text.update import UpdateShape, check_update
from crdtsync.core.values.late import dataclass
from crdtsync.errors import MalformedUpdate

CONTENT: Final = "content"
"""The name of the root type, which every Yjs client that opens the text must use."""

_UNREAD_ABOVE_BYTES: Final = 4096
"""A state of our own above this is not read struct by struct when loaded."""
_JOURNAL_SLACK_BYTES: Final = 64 * 1024
_JOURNAL_MAX_UPDATES: Final = 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """What applying an update did.

    ``changed``: the document holds more than before (text, formatting or deletions).
    ``pending``: a part of the update waits for others that are not here yet, and did not wait before. It is
    in ``TextDocument.pending``, not in ``encode_state()``.
    ``parts``: what was taken in, in order, if that is not the update as it came: a part of it waits, or
    others had waited for it.
    """

    changed: bool
    pending: bool
    parts: tuple[bytes, ...] = ()


class TextDocument:
    """A text with its history.

    ``updates`` are our own log, trusted to have been taken in or made by a document before; they may come
    in any order. What does not apply nevertheless is left out and logged, so that one bad row costs no more
    than itself.
    """

    __slots__ = (
        "_buffer",
        "_client_id",
        "_content",
        "_doc",
        "_encoded",
        "_journal",
        "_journal_bytes",
        "_later",
        "_plain",
        "_text",
    )

    _doc: Doc[Text]
    _content: Text
    _buffer: CausalBuffer
    _text: str | None
    """None: to be read from the document."""
    _encoded: bool
    """Whether the journal is one update that holds the whole state, as Yrs has encoded it."""
    _plain: bool
    """Whether the root type holds the characters of ``_text`` and nothing else."""

    def __init__(self, client_id: int, updates: Iterable[bytes] = (), *, plain: bool = False) -> None:
        """``plain``: the first update is known to be (``update.is_plain``), which spares reading it."""
        self._client_id = client_id
        self._journal: list[bytes] = []
        """What the document was made from: it is made anew when an update breaks it."""
        self._journal_bytes = 0
        self._later = Postponed()
        """Known to the buffer, and not yet to the document; whoever looks at that calls ``_catch_up``."""
        self._open()
        self._load(list(updates), plain)

    @property
    def text(self) -> str:
        """The characters, without formatting and embedded objects. Never raises."""
        if self._text is None:
            self._catch_up()
            self._text = str(self._content)
            self._plain = len(self._content) == utf8_length(self._text)
        return self._text

    @property
    def size_utf8(self) -> int:
        """Of ``text``, if the root type holds nothing else; does not read it."""
        self._catch_up()
        return len(self._content)

    @property
    def state_vector(self) -> bytes:
        """What the document holds; the same bytes for the same state. What waits does not count."""
        return statevector.encode(self._buffer.known)

    @property
    def pending(self) -> tuple[bytes, ...]:
        """The updates, or parts of them, that wait for what they depend on."""
        return self._buffer.pending

    def encode_state(self) -> bytes:
        """The whole document as one update, without what is pending; encoded once for each change."""
        self._catch_up()
        if not self._encoded:
            self._journal = [self._doc.get_update()]
            self._journal_bytes = len(self._journal[0])
            self._encoded = True
        return self._journal[0]

    def encode_log(self) -> tuple[bytes, ...]:
        """The whole document as few updates, with what is pending as it came."""
        return (self.encode_state(), *self.pending)

    def diff_update(self, state_vector: bytes) -> bytes:
        """What a holder of ``state_vector`` lacks, and every deletion: for that one holder, never for all.

        Raises ValueError for a malformed state vector.
        """
        self._catch_up()
        # Yrs would take a clock of 0 for "holds a part after a gap"; encoding leaves zeros out
        clocks = self._buffer.whole_characters(statevector.decode(state_vector))
        if not clocks:
            return self.encode_state()
        return self._doc.get_update(statevector.encode(clocks))

    def apply_update(self, update: bytes, shape: UpdateShape | None = None) -> Change:
        """Take in an update of others, in whatever order they come.

        ``shape`` is what ``check_update(update)`` returned, if it was called before. Raises
        MalformedUpdate; the document is then as it was.
        """
        self._catch_up()
        waiting = self._buffer.pending
        taken = self._buffer.take(update, shape)
        if not taken.ready:
            return Change(False, taken.waits)
        try:
            changed = self._integrate(taken.ready[0], news=taken.inserts)
        except MalformedUpdate:
            self._rebuild(waiting)
            raise
        woken = self._offer(taken.ready[1:])
        parts = (taken.ready[0], *woken) if taken.waits or woken else ()
        return Change(changed or bool(woken), taken.waits, parts)

    def apply_later(self, update: bytes, shape: UpdateShape) -> Change:
        """As ``apply_update``; new characters go into the document when somebody looks at it, many at once.

        What does not apply by then is left out and logged, as of our own log.
        """
        buffer = self._buffer
        plain = not (shape.elsewhere or shape.types) and is_news(shape, buffer.known)
        if not plain or buffer.pending or not is_ready(shape, buffer.known):
            return self.apply_update(update, shape)
        (ready,) = buffer.take(update, shape).ready
        self._postpone(ready, shape if ready is update else None)
        return Change(True, False)

    def typist(self, update: bytes, shape: UpdateShape) -> Typist | None:
        """Whoever has made this update, which was taken in just now, if more may be typed on like it."""
        return None if self._buffer.mends(shape) else Typist.after(update, shape)

    def may_type_on(self, typed: Typed) -> bool:
        """Whether ``type_on`` would take it in."""
        return self._buffer.may_type_on(typed.client, typed.start)

    def type_on(self, update: bytes, typed: Typed) -> bool:
        """Take in, as ``apply_later``, what a typist has read; False: apply the update as any other."""
        if not self._buffer.type_on(typed.client, typed.start, typed.end):
            return False
        self._postpone(update, typed)
        return True

    def _postpone(self, update: bytes, shape: Shape) -> None:
        self._text = None
        if self._later.add(update, shape):
            self._catch_up()

    def _catch_up(self) -> None:
        """Have the document take what was left for later."""
        if not self._later:
            return
        later, self._later = self._later, Postponed()
        try:
            for update in later.merged():
                self._integrate(update, news=True)
        except MalformedUpdate:
            self._offer(later.one_by_one())

    def apply_update_telling(self, update: bytes) -> tuple[Change, tuple[Edit, ...]]:
        """Take in an update, and tell how it changed ``text``, as ascending edits of the text before.

        Raises MalformedUpdate; the document is then as it was.
        """
        before = self.text
        change, edits = self._apply_telling(update)
        return change, diff(before, self.text) if edits is None else edits

    def apply_telling(self, update: bytes) -> tuple[Edit, ...] | None:
        """Take in an update, and tell what it changed, as ascending edits of ``text`` before.

        None if that cannot be told: it waits for others, or the text holds more than characters. Raises
        MalformedUpdate; the document is then as it was.
        """
        change, edits = self._apply_telling(update)
        return None if change.pending else edits

    def _apply_telling(self, update: bytes) -> tuple[Change, tuple[Edit, ...] | None]:
        before = self.text
        deltas = Deltas()
        # a lasting subscription would keep the document alive for ever: pycrdt cannot see the cycle
        content = self._content
        subscription = content.observe(deltas)
        try:
            change = self.apply_update(update)
        finally:
            content.unobserve(subscription)
        if len(deltas.seen) > 1 or self._content is not content:
            return change, None
        edits = edits_of(deltas.seen[0], before) if deltas.seen else ()
        return change, None if edits is None or apply_edits(before, edits) != self.text else edits

    def edit(self, edits: Sequence[Edit]) -> bytes:
        """Replace ranges of ``text`` in one transaction; returns the update for the others, b"" if none.

        ``edits`` are ascending and do not overlap. Raises ValueError, changing nothing, if they do not fit or
        hold half a surrogate pair.
        """
        text = self.text
        edited = apply_edits(text, edits)
        utf8_length(edited)
        edits = [edit for edit in edits if edit.text or edit.end > edit.start]
        if not edits:
            return b""
        offsets = to_utf8_many(text, (offset for edit in edits for offset in (edit.start, edit.end)))
        if not self._plain:
            located = positions(self._content, text, offsets)
            if located is None:
                return self._made(self._transact(partial(self._start_over, edited)), None)
            offsets = located
        update = self._transact(partial(self._replace, edits, offsets))
        return self._made(update, edited if self._plain else None)

    def _made(self, update: bytes, text: str | None) -> bytes:
        self._buffer.learn(check_update(update))
        self._remember(update)
        self._text = text
        return update

    def _replace(self, edits: Sequence[Edit], offsets: Sequence[int]) -> None:
        """From the last to the first, so that each leaves the offsets of the others as they are."""
        for index in range(len(edits) - 1, -1, -1):
            start, end = offsets[2 * index], offsets[2 * index + 1]
            if end > start:
                del self._content[start:end]
            if edits[index].text:
                self._content.insert(start, edits[index].text)

    def _start_over(self, text: str) -> None:
        """Replace whatever the root type holds, of which not even the length can be told from outside."""
        try:
            del self._content[:]
        except BaseException as error:
            reraise_unless_refused(error)  # by then, all that can be deleted is
        if text:
            self._content.insert(0, text)

    def _load(self, updates: list[bytes], plain: bool) -> None:
        if updates and (self._load_first(updates[0]) or self._load_state(updates[0], plain)):
            del updates[0]
        self._offer(updates)

    def _load_first(self, update: bytes) -> bool:
        """Take in what the text began with, if it is that: then it is plain to see what goes in."""
        if (first := read_first(update)) is not None:
            self._doc.apply_update(update)
            self._buffer = buffer_of_first(first, update)
            self._text = first.text
            self._remember(update)
        return first is not None

    def _load_state(self, state: bytes, plain: bool) -> bool:
        """Take in a large state of our own without reading its structs, when it needs nothing else."""
        if len(state) <= _UNREAD_ABOVE_BYTES:
            return False
        try:
            self._doc.apply_update(state)
            held = self._doc.get_state()
            beyond = check_update(pycrdt.get_update(state, held))  # of the structs, those that did not go in
        except BaseException as error:
            reraise_unless_refused(error)
            self._open()
            return False
        if beyond.inserts or not is_ready(beyond, known := statevector.decode(held)):
            self._open()
            return False
        self._buffer = CausalBuffer(known, (state,), plain=plain)
        self._remember(state)
        return True

    def _offer(self, updates: Iterable[bytes]) -> list[bytes]:
        """Integrate what can be integrated of these, leave out what breaks; returns what changed anything."""
        offered = deque(updates)
        changing: list[bytes] = []
        while offered:
            ready: deque[bytes] = deque()
            try:
                ready.extend(self._buffer.take(offered.popleft()).ready)
                while ready:
                    one = ready.popleft()
                    if self._integrate(one):
                        changing.append(one)
            except MalformedUpdate as error:
                _log.warning("an update is left out of a text: %s", error)
                offered.extendleft(reversed(ready))
        return changing

    def _integrate(self, ready: bytes, *, news: bool = False) -> bool:
        """Apply an update that needs nothing else; whether the document changed. Raises MalformedUpdate.

        ``news``: it changes for certain; pycrdt tells what changed only by a copy, as long as the text.
        """
        if news:
            try:
                self._doc.apply_update(ready)
            except BaseException as error:
                self._refused(error)
        elif not self._transact(partial(self._doc.apply_update, ready)):
            return False
        self._remember(ready)
        self._text = None
        return True

    def _transact(self, action: Callable[[], None]) -> bytes:
        """Run the action in a transaction of its own; returns the update it makes, b"" if it changes nothing.

        If it fails, the document is made anew as it was before; raises MalformedUpdate if pycrdt refused.
        """
        updates: list[bytes] = []
        doc = self._doc
        # a lasting subscription would keep the document alive for ever: pycrdt cannot see the cycle
        subscription = doc.observe(lambda event: updates.append(event.update))
        try:
            with doc.transaction():
                action()
        except BaseException as error:
            self._refused(error)
        finally:
            doc.unobserve(subscription)
        return updates[0] if updates else b""

    def _refused(self, error: BaseException) -> NoReturn:
        self._rebuild(self._buffer.pending)
        reraise_unless_refused(error)
        raise MalformedUpdate(f"the text cannot take an update: {error}") from None

    def _open(self) -> None:
        self._doc = Doc(client_id=self._client_id)
        self._content = self._doc.get(CONTENT, type=Text)
        self._buffer = CausalBuffer()
        self._encoded = False
        self._text = None
        self._plain = True

    def _rebuild(self, waiting: Iterable[bytes]) -> None:
        """After a failure, which may have gone in by half: start over from what went in before."""
        self._open()
        for update in self._journal:
            self._doc.apply_update(update)
        self._buffer = CausalBuffer(statevector.decode(self._doc.get_state()), self._journal)
        for update in waiting:
            self._buffer.take(update)

    def _remember(self, update: bytes) -> None:
        self._encoded = False
        self._journal.append(update)
        self._journal_bytes += len(update)
        if len(self._journal) > _JOURNAL_MAX_UPDATES or (
            self._journal_bytes > 2 * len(self._journal[0]) + _JOURNAL_SLACK_BYTES
        ):
            self.encode_state()
