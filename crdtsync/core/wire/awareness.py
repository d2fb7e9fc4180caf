"""Yjs awareness updates ⇄ the states of clients: who is here, as JSON that nobody but clients reads.

Encoding as in ``encodeAwarenessUpdate`` of https://github.com/yjs/y-protocols: a count, then for each client
its id, its clock and its state. What a clock means is left to ``core.hub.doors.awareness``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from crdtsync.core.values import limits
from crdtsync.core.wire.lib0 import Reader, varstring, varuint
from crdtsync.errors import PeerError

NOBODY: Final = "null"
"""The state of a client that is gone."""


@dataclass(frozen=True, slots=True)
class ClientState:
    """``state`` is JSON, or NOBODY."""

    client: int
    clock: int
    state: str


def encode_awareness(states: Iterable[ClientState]) -> bytes:
    listed = list(states)
    parts = [varuint(len(listed))]
    for state in listed:
        parts += (varuint(state.client), varuint(state.clock), varstring(state.state))
    return b"".join(parts)


def decode_awareness(data: bytes) -> tuple[ClientState, ...]:
    """Raises PeerError for anything that some client could not read, and for more than a client may send."""
    reader = Reader(data)
    count = reader.varuint()
    if count > limits.AWARENESS_CLIENTS_MAX:
        raise PeerError(f"an awareness update of {count} clients, above {limits.AWARENESS_CLIENTS_MAX}")
    states = tuple(ClientState(reader.varuint(), reader.varuint(), reader.varstring()) for _ in range(count))
    reader.end()
    for state in states:
        read_state(state.state)
    return states


def read_state(state: str) -> Any:
    """The value of a state. Raises PeerError unless it is JSON within bounds."""
    if len(state) > limits.AWARENESS_STATE_MAX_CHARS:
        raise PeerError(
            f"an awareness state of {len(state)} characters, above {limits.AWARENESS_STATE_MAX_CHARS}"
        )
    try:
        return json.loads(state, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise PeerError("an awareness state that is not JSON") from None


def _no_constant(name: str) -> NoReturn:
    """Python reads NaN, JavaScript does not."""
    raise ValueError(name)
