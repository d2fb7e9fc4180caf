"""Heads and agreements of a large replica as one value in columns, which a start reads in one sweep.

To read two rows of each file, check them and take them apart takes six times as long. Knows the value and
which rows go into it; which are told apart from it, since they changed later, is known by the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate, pairwise, repeat
from struct import Struct, error, pack, unpack
from typing import Any, Final

from crdtsync.adapters import replica_store_codec as codec
from crdtsync.adapters.replica_store_codec import DamagedRow
from crdtsync.core.replica.records import Head, Synced
from crdtsync.core.values.digests import DIGEST_BYTES
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import ENTRY_ID_BYTES, DocumentId

GATHERED_FROM: Final = 10_000
"""Agreements; of fewer nobody would notice."""
_KEY: Final = b"gathered"
_LENGTH: Final = Struct("<Q")
_NUMBERS: Final = "QQQqqIB"
"""Size, time of the head, inode, mtime, ctime, length of the state vector, whether it was saved here."""

_new_head: Any = partial(tuple.__new__, Head)
_new_synced: Any = partial(tuple.__new__, Synced)
_new_fingerprint: Any = partial(tuple.__new__, Fingerprint)


def gathered(heads: Iterable[Head], agreements: Sequence[Synced]) -> tuple[bytes, set[str]]:
    """The value, and whose rows are in it: those of all texts of which there is nothing special to tell."""
    head_of = {head.document: head for head in heads}
    device = next((each.fingerprint.device for each in agreements if each.fingerprint is not None), 0)
    plain: list[tuple[Head, Synced, Fingerprint]] = []
    for each in agreements:
        head, seen = head_of.get(DocumentId(each.entry)), each.fingerprint
        if head is None or seen is None or each.digest is None or "\0" in each.path:
            continue
        vector = head.state_vector
        known = each.entry, each.path, Kind.TEXT, head.digest, False, vector, seen, None, each.saved_here
        same = _new_synced(known)
        told = seen.device, seen.size_bytes, seen.executable, head.dirty
        if each == same and told == (device, head.size_bytes, False, False):
            plain.append((head, each, seen))
    columns = (
        [head.size_bytes for head, _, _ in plain],
        [head.at_ms for head, _, _ in plain],
        [seen.inode for _, _, seen in plain],
        [seen.mtime_ns for _, _, seen in plain],
        [seen.ctime_ns for _, _, seen in plain],
        [len(head.state_vector) for head, _, _ in plain],
        [int(each.saved_here) for _, each, _ in plain],
    )
    entries = [each.entry for _, each, _ in plain]
    sections = [
        _LENGTH.pack(len(plain)) + _LENGTH.pack(device),
        bytes.fromhex("".join(entries)),
        bytes.fromhex("".join(str(head.digest) for head, _, _ in plain)),
        *(pack(f"<{len(plain)}{kind}", *column) for kind, column in zip(_NUMBERS, columns, strict=True)),
        b"".join(head.state_vector for head, _, _ in plain),
        codec.encode_string("\0".join(each.path for _, each, _ in plain)),
    ]
    value = b"".join(_LENGTH.pack(len(section)) + section for section in sections)
    return codec.sealed(value, _KEY), set(entries)


def taken_apart(value: bytes) -> tuple[list[Head], list[Synced]]:
    """The heads and agreements in it, in the order in which they were given. Raises DamagedRow."""
    told = codec.unsealed(value, _KEY)
    try:
        start, entries, digests, *packed, joined, paths = _sections(told)
        (count,), (device,) = _LENGTH.unpack_from(start), _LENGTH.unpack_from(start, _LENGTH.size)
        size_bytes, at_ms, inodes, mtimes_ns, ctimes_ns, lengths, saved = (
            unpack(f"<{count}{kind}", column) for kind, column in zip(_NUMBERS, packed, strict=True)
        )
        names = codec.decode_string(paths).split("\0") if count else []
    except (error, ValueError) as problem:
        raise DamagedRow(f"the gathered rows cannot be read: {problem}") from problem
    ids = _pieces(entries.hex(), 2 * ENTRY_ID_BYTES)
    contents = _pieces(digests.hex(), 2 * DIGEST_BYTES)
    vectors = [joined[at:to] for at, to in pairwise(accumulate(lengths, initial=0))]
    if {len(ids), len(contents), len(names)} != {count}:
        raise DamagedRow("the gathered rows have columns of different lengths")
    no = repeat(False)
    # Of most files both times are one number: then it is kept once.
    written_ns = [
        mtime if mtime == ctime else ctime for mtime, ctime in zip(mtimes_ns, ctimes_ns, strict=True)
    ]
    seen = map(
        _new_fingerprint, zip(repeat(device), inodes, size_bytes, mtimes_ns, written_ns, no, strict=False)
    )
    heads = map(_new_head, zip(ids, vectors, contents, size_bytes, at_ms, no, strict=False))
    text, none = repeat(Kind.TEXT), repeat(None)
    here = map(bool, saved)
    agreements = map(
        _new_synced, zip(ids, names, text, contents, no, vectors, seen, none, here, strict=False)
    )
    return list(heads), list(agreements)


def _sections(value: bytes) -> list[bytes]:
    sections: list[bytes] = []
    at = 0
    while at < len(value):
        (length,) = _LENGTH.unpack_from(value, at)
        at += _LENGTH.size
        sections.append(value[at : at + length])
        at += length
    return sections


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
