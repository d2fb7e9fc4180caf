"""Frames, control messages and files of the protocol made up from decisions: honest ones, then damaged.

What a decoder makes of them is in ``decoders``. Messages are built with the product's own encoders, so that a
field added there is fuzzed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from crdtsync.adapters.compression import seal
from crdtsync.core.replica.records import Head, Synced
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Chunk, Fingerprint, Kind, Manifest
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.values.manifests import Describes, encode_manifest
from crdtsync.core.wire import blobs, codec
from crdtsync.core.wire import messages as wire
from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.contents import value
from crdtsync.testing.fuzzing.updates import (
    ROOTS,
    Deletions,
    Fields,
    Maker,
    Parts,
    Section,
    mutate,
    state_vector,
)


def damaged(encoded: bytes, choices: Choices) -> bytes:
    """Now and then with a few bytes changed, left out or put in."""
    if not choices.chance(3):
        return encoded
    frame = bytearray(encoded)
    for _ in range(1 + choices.below(3)):
        at = choices.below(len(frame) + 1)
        frame[at : at + choices.below(4)] = choices.take(choices.below(5))
    return bytes(frame)


def update(choices: Choices) -> bytes:
    """One that starts a document, on the whole."""
    parts = Maker(choices).update()
    return (mutate(parts, choices) if choices.chance(4) else parts).encode()


def tree_update(choices: Choices) -> bytes:
    """Cells of a room's tree, set by one client; now and then anything."""
    if choices.chance(6):
        return update(choices)
    structs: list[Fields] = []
    for clock in range(1 + choices.below(6)):
        body = b"\x01" + value(choices)
        if clock and choices.chance(3):
            structs.append(Fields(0x88, 1, left=(9, choices.below(clock)), body=body))
        else:
            key = choices.pick(("0e" * 12, "0f" * 12, "0e" * 12 + ":" + "ab" * 32, "x"))
            structs.append(Fields(0x28, 1, parent=choices.pick(ROOTS[1:7]), key=key, body=body))
    ranges = ((choices.below(3), 1),) if choices.chance(3) else ()
    return Parts((Section(9, 0, tuple(structs)),), (Deletions(9, ranges),) if ranges else ()).encode()


def document(choices: Choices) -> DocumentId:
    return TREE if choices.chance(4) else DocumentId(f"{choices.below(6):024x}")


def from_replica(choices: Choices) -> bytes:
    match choices.below(4):
        case 0:
            count = choices.below(4)
            vectors = tuple((document(choices), state_vector(choices)) for _ in range(count))
            return codec.encode_from_replica(wire.Compare(choices.chance(2), vectors))
        case 1:
            return codec.encode_from_replica(wire.Probe(choices.number(choices.below(9))))
        case _:
            updates = tuple((document(choices), update(choices)) for _ in range(choices.below(4)))
            return codec.encode_from_replica(wire.Push(choices.number(choices.below(9)), updates))


def from_hub(choices: Choices) -> bytes:
    sequence, batch = choices.number(choices.below(99)), choices.number(choices.below(9))
    message: wire.FromHub
    match choices.below(8):
        case 0:
            message = wire.Ack(batch, sequence)
        case 1:
            message = wire.Committed(sequence)
        case 2:
            message = wire.CaughtUp(sequence)
        case 3:
            message = wire.Probed(batch, sequence)
        case 4:
            message = wire.Accepted(batch, sequence)
        case 5:
            message = wire.Differ(
                tuple(
                    wire.Difference(document(choices), state_vector(choices), update(choices))
                    for _ in range(choices.below(4))
                )
            )
        case _:
            message = wire.Relay(
                tuple(
                    wire.LogEntry(sequence + row, choices.number(0), document(choices), update(choices))
                    for row in range(choices.below(4))
                )
            )
    return codec.encode_from_hub(message)


def digest(choices: Choices) -> Digest:
    return digest_of(bytes((choices.below(8),)))


def sealed(choices: Choices) -> blobs.Sealed:
    honest = seal(choices.pick((b"", b"x", bytes(400), choices.take(80))))
    if choices.chance(2):
        return honest
    return blobs.Sealed(
        choices.pick((blobs.Codec.RAW, blobs.Codec.ZSTD)), damaged(bytes(honest.data), choices)
    )


def blobs_from_replica(choices: Choices) -> bytes:
    request = choices.number(choices.below(9))
    names = tuple(digest(choices) for _ in range(choices.below(4)))
    match choices.below(3):
        case 0:
            return blobs.encode_from_replica(blobs.Have(request, names))
        case 1:
            return blobs.encode_from_replica(blobs.Get(request, names))
        case _:
            chunks = tuple((name, sealed(choices)) for name in names)
            return blobs.encode_from_replica(blobs.Put(request, chunks))


def blobs_from_hub(choices: Choices) -> bytes:
    request = choices.number(choices.below(9))
    count = choices.below(12)
    match choices.below(4):
        case 0:
            return blobs.encode_from_hub(blobs.Had(request, tuple(choices.chance(2) for _ in range(count))))
        case 1:
            return blobs.encode_from_hub(blobs.Stored(tuple(range(count))))
        case 2:
            return blobs.encode_from_hub(blobs.Unstored(tuple(range(count)), "the disk is full"))
        case _:
            chunks = tuple(None if choices.chance(3) else sealed(choices) for _ in range(count % 4))
            return blobs.encode_from_hub(blobs.Chunks(request, chunks))


def manifest(choices: Choices) -> bytes:
    chunks = tuple(
        Chunk(digest(choices), choices.number(1 + choices.below(300)) % 2**32)
        for _ in range(choices.below(5))
    )
    total = sum(chunk.size_bytes for chunk in chunks)
    whole = Manifest(digest(choices), choices.number(total) % 2**64, chunks)
    return encode_manifest(whole, choices.pick((Describes.CONTENT, Describes.MANIFEST)))


def json_value(choices: Choices, depth: int = 0) -> Any:
    match choices.below(10):
        case 0:
            return None
        case 1:
            return choices.chance(2)
        case 2 | 3:
            return choices.number(choices.below(300))
        case 4:
            return choices.pick((-1, 1.5, 1e308, -(2**63), 10**30))
        case 5 if depth < 4:
            return [json_value(choices, depth + 1) for _ in range(choices.below(4))]
        case 6 if depth < 4:
            return {choices.pick(FIELDS): json_value(choices, depth + 1) for _ in range(choices.below(4))}
        case 7:
            return choices.pick(
                ("x" * 70, "x" * 5000, "\ud83d", "\0", "é😀", "../..", "\x1b[2J", "__proto__")
            )
        case _:
            return choices.pick(("hello", "notes", "e1", "", "a.md"))


FIELDS: Final = (
    *("type", "version", "room", "replica", "name", "cursor", "epoch", "sequence", "token", "member"),
    *("resume", "code", "message", "editing", "id", "method", "params", "error", "result"),
)
MESSAGES: Final[tuple[dict[str, Any], ...]] = (
    {
        "type": "hello",
        "version": 1,
        "room": "notes",
        "replica": "r",
        "name": "ann",
        "cursor": None,
        "token": None,
    },
    {
        "type": "hello",
        "version": 1,
        "room": "notes",
        "replica": "r",
        "cursor": {"epoch": "e1", "sequence": 4},
    },
    {"type": "welcome", "version": 1, "member": 7, "epoch": "e1", "sequence": 42, "resume": True},
    {"type": "refused", "code": "limit", "message": "later"},
    {"type": "presence", "member": 3, "name": "ann", "editing": ["a.md", "b.md"]},
    {"type": "left", "member": 3},
)
REQUESTS: Final[tuple[dict[str, Any], ...]] = (
    {"id": 1, "method": "status", "params": {}},
    {"id": 2, "method": "flush", "params": {"timeout_s": 1}},
    {"id": None, "method": "echo", "params": {"x": [1, {"y": None}]}},
)


def _json(templates: tuple[dict[str, Any], ...]) -> Callable[[Choices], bytes]:
    def make(choices: Choices) -> bytes:
        message = dict(choices.pick(templates))
        for _ in range(choices.below(3)):
            message[choices.pick(FIELDS)] = json_value(choices)
        if choices.chance(6):
            message.pop(choices.pick(list(message)))
        if choices.chance(40):
            return b"[" * choices.pick((50, 5000, 60000))
        written = json.dumps(message, ensure_ascii=choices.chance(2))
        return damaged(written.encode("utf-8", "surrogatepass"), choices)

    return make


control = _json(MESSAGES)
control_request = _json(REQUESTS)


def head(choices: Choices) -> Head:
    name = digest(choices) if choices.chance(2) else None
    return Head(
        document(choices), state_vector(choices), name, choices.below(9), choices.below(9), choices.chance(2)
    )


def synced(choices: Choices) -> Synced:
    seen = Fingerprint(1, 2, choices.below(9), 3, 4, choices.chance(2)) if choices.chance(2) else None
    return Synced(
        EntryId(f"{choices.below(6):024x}"),
        choices.pick(("a.md", "é/😀", "\udc80")),
        choices.pick(list(Kind)),
        digest(choices) if choices.chance(2) else None,
        choices.chance(2),
        state_vector(choices),
        seen,
        None,
        choices.chance(2),
    )


def ignore_file(choices: Choices) -> bytes:
    """gitignore patterns made of what is special in them."""
    pieces = (
        *(b"*", b"**", b"/", b"a", b"[", b"]", b"!", b"\\", b"?", b"-", b"^", b"[:alpha:]"),
        b"\n",
        b" ",
        b"a*a*a*",
        "é".encode(),
        b"\xff",
    )
    return b"".join(choices.pick(pieces) for _ in range(choices.below(60)))
