"""Every decoder of bytes from outside, with what makes up its input and the errors that it documents.

A new decoder is one line in ``DECODERS``; the tests, ``make fuzz`` and whoever embeds this then try it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from crdtsync.adapters import replica_store_codec as rows
from crdtsync.adapters.compression import unseal
from crdtsync.adapters.gitignore import PatternFile
from crdtsync.core.hub.documents import problem_of
from crdtsync.core.replica.records import Head, Synced
from crdtsync.core.text import statevector
from crdtsync.core.text.update import check_update, encode_update, read_structs
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.ids import TREE
from crdtsync.core.values.manifests import decode_manifest, encode_manifest
from crdtsync.core.wire import blobs, codec
from crdtsync.core.wire.awareness import decode_awareness, encode_awareness
from crdtsync.core.wire.control import decode_control, encode_control
from crdtsync.core.wire.hocuspocus import decode_hocuspocus, encode_hocuspocus
from crdtsync.core.wire.yjs import decode_yjs, encode_yjs
from crdtsync.errors import MalformedUpdate, PeerError
from crdtsync.testing.fuzzing import editors, frames
from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.updates import state_vector

Make = Callable[[Choices], bytes]


class Broken(AssertionError):
    """A decoder accepted something and then did not keep its word about it."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """``make`` makes up input for ``read``, which may raise ``errors`` and nothing else."""

    make: Make
    read: Callable[[bytes], None]
    errors: tuple[type[Exception], ...]

    def takes(self, data: bytes) -> bool:
        """Whether it was accepted. Raises whatever it should not have raised."""
        try:
            self.read(data)
        except self.errors:
            return False
        return True


def again(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Callable[[bytes], None]:
    """What was read and is written again must be read as the same."""

    def read(data: bytes) -> None:
        message = decode(data)
        if decode(encode(message)) != message:
            raise Broken(f"{message!r} is not what is read of its own encoding")

    return read


def _control(data: bytes) -> None:
    """Text frames reach the decoder as str, which websockets has decoded strictly."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    message = decode_control(text)
    encode_control(message).encode()


def _update(data: bytes) -> None:
    """What is accepted can be taken apart, and pycrdt takes it."""
    shape = check_update(data)
    structs, deletes = read_structs(data)
    written = encode_update(structs, deletes)
    if check_update(written).inserts != shape.inserts:
        raise Broken("an update written again inserts something else")
    problem_of([(TREE, data)])


def _tree(data: bytes) -> None:
    tree = TreeDocument(1)
    tree.apply_update(data)
    tree.apply_update(data)
    if not tree.pending:
        TreeDocument(2, [tree.encode_state()])


def _state_vector(data: bytes) -> None:
    clocks = statevector.decode(data)
    if statevector.decode(statevector.encode(clocks)) != {c: clock for c, clock in clocks.items() if clock}:
        raise Broken("a state vector written again is another")


def _chunk(data: bytes) -> None:
    sealed = blobs.Sealed(blobs.Codec(data[0] & 1) if data else blobs.Codec.RAW, data[1:])
    unseal(sealed, digest_of(data[1:]))


def _make_chunk(choices: Choices) -> bytes:
    sealed = frames.sealed(choices)
    return bytes((sealed.codec,)) + sealed.data


_KEY: Final = bytes(12)


def _head(data: bytes) -> None:
    rows.decode_head(_KEY, rows.sealed(data, _KEY))


def _synced(data: bytes) -> None:
    rows.decode_synced(_KEY + b"\0", rows.sealed(data, _KEY + b"\0"), None)


def _make_head(choices: Choices) -> bytes:
    made: Head = frames.head(choices)
    return rows.unsealed(rows.encode_head(_KEY, made), _KEY)


def _make_synced(choices: Choices) -> bytes:
    made: Synced = frames.synced(choices)
    return rows.unsealed(rows.encode_synced(_KEY, made), _KEY)


_NAMES: Final = ("a", "a/b/c", "a" * 200, "é", "\udc80/x", "aaa/" * 20 + "b")


def _ignores(data: bytes) -> None:
    patterns = PatternFile(data)
    for name in _NAMES:
        for is_dir in (False, True):
            patterns.decides(name, name.rpartition("/")[2], is_dir)


DECODERS: Final[dict[str, Decoder]] = {
    "frames from replicas": Decoder(
        frames.from_replica, again(codec.decode_from_replica, codec.encode_from_replica), (PeerError,)
    ),
    "frames from the hub": Decoder(
        frames.from_hub, again(codec.decode_from_hub, codec.encode_from_hub), (PeerError,)
    ),
    "blob frames from replicas": Decoder(
        frames.blobs_from_replica, again(blobs.decode_from_replica, blobs.encode_from_replica), (PeerError,)
    ),
    "blob frames from the hub": Decoder(
        frames.blobs_from_hub, again(blobs.decode_from_hub, blobs.encode_from_hub), (PeerError,)
    ),
    "control messages": Decoder(frames.control, _control, (PeerError,)),
    "updates": Decoder(frames.update, _update, (MalformedUpdate,)),
    "tree updates": Decoder(frames.tree_update, _tree, (MalformedUpdate,)),
    "state vectors": Decoder(state_vector, _state_vector, (ValueError,)),
    "manifests": Decoder(
        frames.manifest, again(decode_manifest, lambda read: encode_manifest(*read)), (PeerError,)
    ),
    "chunks": Decoder(_make_chunk, _chunk, (PeerError,)),
    "heads": Decoder(_make_head, _head, (rows.DamagedRow,)),
    "agreements": Decoder(_make_synced, _synced, (rows.DamagedRow,)),
    "awareness": Decoder(editors.awareness, again(decode_awareness, encode_awareness), (PeerError,)),
    "messages of Yjs clients": Decoder(editors.yjs, again(decode_yjs, encode_yjs), (PeerError,)),
    "messages of Hocuspocus clients": Decoder(
        editors.hocuspocus, again(decode_hocuspocus, encode_hocuspocus), (PeerError,)
    ),
    "ignore files": Decoder(frames.ignore_file, _ignores, ()),
}


def case(decoder: Decoder, entropy: bytes) -> bytes:
    """The input that these decisions make: the bytes themselves, or made up, perhaps damaged."""
    choices = Choices(entropy[1:], wild=24)
    match entropy[0] % 8 if entropy else 0:
        case 0:
            return entropy[1:]
        case 1 | 2 | 3:
            return decoder.make(Choices(entropy[1:]))
        case 4:
            return frames.damaged(decoder.make(Choices(entropy[1:])), choices)
        case _:
            return frames.damaged(decoder.make(choices), choices)
