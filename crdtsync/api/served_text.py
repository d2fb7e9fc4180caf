"""One text that a program outside of this process has open: the replica's end of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from pydantic import BaseModel

from crdtsync.api import program_messages as messages
from crdtsync.api.document import TextPort
from crdtsync.api.values import Origin, TextEdit
from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.text.jupiter import JupiterEnd
from crdtsync.core.values import limits
from crdtsync.errors import CrdtsyncError, PeerError

CONFIRM_EVERY: Final = 64
"""Edits taken without one of our own, which would confirm them."""
_OWN: Final = Origin("self")


class ServedText:
    """What the room tells goes to the program, and what the program says to the room."""

    def __init__(
        self,
        number: int,
        port: TextPort,
        tell: Callable[[str, BaseModel], None],
        drop: Callable[[str], None],
    ) -> None:
        self._number = number
        self._port = port
        self._tell = tell
        self._drop = drop
        self._jupiter = JupiterEnd(first=True)
        self._unconfirmed = 0
        self.over = False
        """Nothing is said of it any more, to either side."""

    # -- the program says ---------------------------------------------------------------------------------

    def edited(self, message: messages.Edit) -> None:
        """Raises PeerError for what no program of ours can say."""
        if self.over:
            return
        try:
            if not message.edits:
                self._jupiter.confirmed(message.taken)
                return
            edits = self._jupiter.take(message.taken, messages.edits_of(message))
        except ValueError as error:
            raise PeerError(str(error)) from error
        try:
            if edits:
                self._port.edit(edits)
        except CrdtsyncError as error:
            self._refuse(error)
            return
        self._unconfirmed += 1
        if self._unconfirmed >= CONFIRM_EVERY:
            self._say(())

    def placed(self, message: messages.Cursors) -> None:
        """Raises PeerError as ``edited`` does."""
        if self.over:
            return
        try:
            moved = partial(self._jupiter.moved, message.taken)
            ranges = tuple((moved(anchor), moved(head)) for anchor, head in message.ranges)
        except ValueError as error:
            raise PeerError(str(error)) from error
        with suppress(CrdtsyncError):  # the replica is about to end: nobody sees it
            self._port.place(ranges)

    def close(self) -> None:
        if not self.over:
            self.over = True
            self._port.close()

    def _refuse(self, error: CrdtsyncError) -> None:
        """The program shows what cannot be: it is told, and no more of this text."""
        self.close()
        self._tell("closed", messages.Ended(document=self._number, **messages.failure(error)))

    def _say(self, edits: tuple[TextEdit, ...], origin: Origin = _OWN) -> None:
        self._unconfirmed = 0
        self._tell(
            "edit",
            messages.Edit(
                document=self._number,
                taken=self._jupiter.taken,
                edits=messages.triples(edits),
                origin=(origin.kind, origin.name),
            ),
        )

    # -- the room tells -----------------------------------------------------------------------------------

    def _changed(self, edits: tuple[TextEdit, ...], origin: Origin) -> None:
        self._jupiter.make(edits)
        if self._jupiter.untaken > limits.EDITS_UNTAKEN_MAX:
            self._drop("it has not confirmed what it was told of a text")
        else:
            self._say(edits, origin)

    def _stands(self, path: str | None) -> None:
        self._tell("stands", messages.Stands(document=self._number, path=path))

    def _cursors_moved(self, person: str, name: str, ranges: Ranges) -> None:
        taken = self._jupiter.taken
        told = messages.Cursors(document=self._number, taken=taken, ranges=ranges, person=person, name=name)
        self._tell("cursors", told)

    def _ended(self, error: Exception) -> None:
        self.over = True
