"""Cuts a large update into small ones that say the same in that order, for documents read bit by bit.

Knows which struct was placed by which; what they mean is left to ``document`` and ``tree``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from crdtsync.core.text.update import Ranges, Struct, encode_update, read_structs

_RANGE_BYTES: Final = 8
"""A clock and a length, and sometimes a client."""


def sliced(update: bytes, slice_bytes: int) -> list[bytes]:
    """Updates of about ``slice_bytes`` each, structs before deletions. Raises MalformedUpdate.

    Each needs no more than those before it, and what the whole needs.
    """
    structs, deletes = read_structs(update)
    slices = [encode_update(part, {}) for part in _parts(structs, slice_bytes)]
    ranges = [(client, each) for client, queue in deletes.items() for each in queue]
    most = max(1, slice_bytes // _RANGE_BYTES)
    for at in range(0, len(ranges), most):
        part: dict[int, Ranges] = {}
        for client, each in ranges[at : at + most]:
            part[client] = (*part.get(client, ()), each)
        slices.append(encode_update({}, part))
    return slices


def _parts(structs: Mapping[int, Sequence[Struct]], part_bytes: int) -> Iterator[Mapping[int, list[Struct]]]:
    part: dict[int, list[Struct]] = {}
    size_bytes = 0
    for client, struct in _in_order(structs):
        if size_bytes >= part_bytes:
            yield part
            part, size_bytes = {}, 0
        part.setdefault(client, []).append(struct)
        size_bytes += len(struct.encoded)
    if part:
        yield part


def _in_order(structs: Mapping[int, Sequence[Struct]]) -> Iterator[tuple[int, Struct]]:
    """Each struct after those of the update that it was placed by."""
    at = dict.fromkeys(structs, 0)

    def is_past(client: int, clock: int) -> bool:
        """Whether all below ``clock`` is there, or will not come with the update."""
        queue = structs.get(client, ())
        number = at.get(client, 0)
        return number == len(queue) or queue[number].start >= clock

    progress = True
    while progress:
        progress = False
        for client, queue in structs.items():
            while at[client] < len(queue) and all(
                is_past(other, clock) for other, clock in queue[at[client]].needs.items()
            ):
                yield client, queue[at[client]]
                at[client] += 1
                progress = True
    for client, queue in structs.items():  # what is left waits for what will not come
        yield from ((client, struct) for struct in queue[at[client] :])
