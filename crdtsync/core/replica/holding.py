"""Deletions that are judged, sent or held: the guard's word for the plan, a person's word for the guard."""

from __future__ import annotations

from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.observing import Observing
from crdtsync.core.replica.state import HELD, ReplicaState
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId


class Holding:
    def __init__(self, state: ReplicaState, deletions: Deletions, observing: Observing) -> None:
        self._state = state
        self._deletions = deletions
        self._observing = observing

    def judge(self, now: float) -> bool:
        """Judge what vanished together, once all of it has settled; returns whether there is more to plan."""
        state = self._state
        if not self._deletions.waiting or not state.may_ingest:
            return False
        count = len(state.view.placements)
        if state.session.read_only:
            count = limits.DOCUMENTS_PER_ROOM_MAX  # none of them is sent: there is nothing to guard
        settling = state.looking.any_absent or self._observing.may_find_renames
        view = state.view
        send, held = self._deletions.judge(count, lambda entry: view.get(entry) is not None, settling, now)
        if held:
            number = len(self._deletions.held)
            gone = (
                "are gone with a disk that is not mounted"
                if self._deletions.unmounted
                else "were deleted at once"
            )
            state.tell(
                "",
                HELD,
                f"{number} files {gone}: nothing was sent. "
                "Send the deletions with 'crdtsync confirm', or bring the files back with 'crdtsync restore'",
            )
        state.replan(send)
        return bool(send)

    def forget_if_none(self) -> None:
        """Nothing is held any more: nobody needs to be told."""
        if not self._deletions.held:
            self._release()

    def confirm(self) -> None:
        """A person wants what was held to be sent."""
        confirmed = self._release()
        self._deletions.passed.update(confirmed)
        self._state.replan(confirmed)

    def restore(self) -> None:
        """A person wants the files of what was held back: as if nothing had ever been agreed of them."""
        for entry in self._release():
            self._state.forget(entry)
            self._state.replan([entry])

    def _release(self) -> list[EntryId]:
        told = self._state.attention.get("")
        if told is not None and told.kind == HELD:
            del self._state.attention[""]
        return self._deletions.release()
