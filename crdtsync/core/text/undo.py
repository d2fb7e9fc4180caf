"""Undo and redo of one person's edits in a text that others edit, too.

Knows edits only: whoever types tells it what was done, and carries out what it gives back. The edits of
others are never undone; what they typed inside of something that is undone stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.transform import inverse, transform
from crdtsync.core.values import limits


class UndoHistory:
    """Two stacks of edits. The last of each is of the text as it is now, any other one of the text that the
    one above it leads to."""

    def __init__(self) -> None:
        self._undo: list[tuple[Edit, ...]] = []
        self._redo: list[tuple[Edit, ...]] = []

    def did(self, edits: Sequence[Edit], before: str) -> None:
        """The person made these edits of ``before``. What was undone until now cannot be redone any more."""
        self._redo.clear()
        self._push(self._undo, inverse(edits, before))

    def changed(self, edits: Sequence[Edit]) -> None:
        """Someone else made these edits of the text as it was."""
        for stack in (self._undo, self._redo):
            over = tuple(edits)
            for index in range(len(stack) - 1, -1, -1):
                step = stack[index]
                stack[index] = transform(step, over, first=True)
                over = transform(over, step, first=False)
                if not over:
                    break

    def undo(self, text: str) -> tuple[Edit, ...]:
        """The edits of ``text``, as it is now, that take the last step back, which can then be redone; none
        if there is nothing to undo."""
        return self._turn(self._undo, self._redo, text)

    def redo(self, text: str) -> tuple[Edit, ...]:
        """The edits of ``text`` that do again what was undone last."""
        return self._turn(self._redo, self._undo, text)

    def _turn(
        self, source: list[tuple[Edit, ...]], target: list[tuple[Edit, ...]], text: str
    ) -> tuple[Edit, ...]:
        while source:
            edits = source.pop()
            if edits:  # otherwise others have removed all that it was about
                self._push(target, inverse(edits, text))
                return edits
        return ()

    @staticmethod
    def _push(stack: list[tuple[Edit, ...]], step: tuple[Edit, ...]) -> None:
        stack.append(step)
        if len(stack) > limits.UNDO_STEPS_MAX:
            del stack[0]
