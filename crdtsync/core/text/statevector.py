"""Yjs state vectors: for each client the first clock that is missing. Knows nothing of documents.

Format: a count, then (client, clock) pairs, all unsigned LEB128 of at most 53 bits; ``writeStateVector`` in
``yjs/src/utils/encoding.js`` (https://github.com/yjs/yjs).
"""

from __future__ import annotations

from collections.abc import Mapping

from crdtsync.core.text.cursor import MAX_CLIENT, MAX_CLOCK
from crdtsync.core.wire.lib0 import varuint

EMPTY_STATE_VECTOR = b"\0"


def decode(encoded: bytes) -> dict[int, int]:
    """Clock by client, zeros included. Raises ValueError unless it is one well-formed state vector."""
    size = len(encoded)
    numbers = []
    number = shift = 0
    for byte in encoded:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
        else:
            shift += 7
            if shift > 49:
                raise ValueError("malformed state vector: a number has more than 53 bits")
    if not size or encoded[-1] & 0x80:
        raise ValueError("malformed state vector: it ends too early")
    count = numbers[0]
    if len(numbers) != 2 * count + 1:
        raise ValueError(
            f"malformed state vector: {count} clients announced, {len(numbers) - 1} numbers follow"
        )
    clocks = dict(zip(numbers[1::2], numbers[2::2], strict=True))
    if len(clocks) != count:
        raise ValueError("malformed state vector: a client occurs twice")
    if clocks and (max(clocks) > MAX_CLIENT or max(clocks.values()) > MAX_CLOCK):
        raise ValueError("malformed state vector: a number is too large")
    return clocks


def encode(clocks: Mapping[int, int]) -> bytes:
    """The same bytes for the same clocks: clients descending, zeros left out."""
    clients = sorted((client for client, clock in clocks.items() if clock), reverse=True)
    encoded = bytearray(varuint(len(clients)))
    for client in clients:
        encoded += varuint(client) + varuint(clocks[client])
    return bytes(encoded)


def covers(a: bytes, b: bytes) -> bool:
    """Whether ``a`` has all that ``b`` has. A state vector does not show deletions. Raises ValueError."""
    if a == b or b == EMPTY_STATE_VECTOR:
        return decode(a) is not None
    have = decode(a)
    return all(have.get(client, 0) >= clock for client, clock in decode(b).items())


def with_clock(state_vector: bytes, client: int, clock: int) -> bytes:
    """The state vector with one client's clock set; 0 removes it. Raises ValueError."""
    if not 0 <= client <= MAX_CLIENT or not 0 <= clock <= MAX_CLOCK:
        raise ValueError(f"no such client or clock: {client}, {clock}")
    return encode({**decode(state_vector), client: clock})
