"""The session table: the states of a replica's session and the messages that are due in each."""

from __future__ import annotations

from enum import StrEnum

from crdtsync.core.wire.messages import Compare, FromReplica, Probe, Push


class State(StrEnum):
    """Where a session stands after its hello; before it there is no session."""

    OPENING = "opening"
    """The room is being loaded; nothing is taken from the member."""
    COMPARING = "comparing"
    """Its cursor was not honoured; it sends the state vectors of all it has."""
    CATCHING_UP = "catching up"
    """It reads the log for the first time."""
    LIVE = "live"
    BEHIND = "behind"
    """It was live, did not read fast enough, and reads the log again."""


DUE: dict[State, frozenset[type[FromReplica]]] = {
    State.OPENING: frozenset(),
    State.COMPARING: frozenset({Compare, Probe}),
    State.CATCHING_UP: frozenset({Compare, Probe}),
    State.LIVE: frozenset({Push, Compare, Probe}),
    State.BEHIND: frozenset({Push, Compare, Probe}),
}
"""Binary messages by state. A Presence is due in all but the first; a second Hello never is."""

READING = frozenset({State.CATCHING_UP, State.BEHIND})
"""The states in which the member is given pages of the log, not what the room gives to all."""
