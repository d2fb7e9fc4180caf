"""How the replica's rows look as bytes; knows the layouts and their checksums, not the database.

Each row is ``crc32 (4 bytes) | fields``, little-endian. The checksum covers the row's key as well, so that a
row damaged by the disk, or found under another key, is never taken for what disk and room agreed on.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final
from zlib import crc32

from crdtsync.adapters import compression
from crdtsync.core.replica.records import Head, Synced
from crdtsync.core.values.digests import DIGEST_BYTES, Digest
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import ENTRY_ID_BYTES, TREE, DocumentId, EntryId


class DamagedRow(ValueError):
    """The row is not what was written."""


_KINDS: Final = (Kind.TEXT, Kind.BLOB, Kind.LINK, Kind.DIR)
_KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}
_TREE_KEY: Final = TREE.encode()
_NO_DIGEST: Final = bytes(DIGEST_BYTES)
_CRC: Final = Struct("<I")
_TIME: Final = Struct("<d")

_new: Final = tuple.__new__
"""Of a named tuple, with all of its fields: half a microsecond less than by its name, three times for each
file of a large folder."""

_HEAD: Final = Struct(f"<IB{DIGEST_BYTES}sQQ")
"""Checksum, flags, digest, size, time; the state vector follows."""
_HEAD_DIRTY: Final = 1
_HEAD_DIGEST: Final = 2

_SYNCED: Final = Struct(f"<IBB{DIGEST_BYTES}sQQQqqI")
"""Checksum, kind, flags, digest, the fingerprint (device, inode, size, mtime, ctime), the length of the state
vector; the state vector and the path follow."""
_SYNCED_DIGEST: Final = 1
_SYNCED_EXECUTABLE: Final = 2
_SYNCED_FINGERPRINT: Final = 4
_SYNCED_FINGERPRINT_EXECUTABLE: Final = 8
_SYNCED_SAVED_HERE: Final = 16

PACKED_FROM_BYTES: Final = 1024
"""An update below this fits into a page with others; what is typed and saved all day is far below. Of text
three quarters are saved, at 0.4 GB/s: as much CPU as they cost twice, in the WAL and in the file."""
_PACKED: Final = b"packed"
"""What the checksum of a packed update covers, too, so that it is never taken for one that is not."""


def document_key(document: DocumentId) -> bytes:
    return _TREE_KEY if document == TREE else bytes.fromhex(document)


def document_of(key: bytes) -> DocumentId:
    return TREE if key == _TREE_KEY else DocumentId(key.hex())


def entry_key(entry: EntryId) -> bytes:
    return bytes.fromhex(entry)


def digest_key(digest: Digest) -> bytes:
    return bytes.fromhex(digest)


def sealed(fields: bytes, key: bytes) -> bytes:
    """The row for ``fields`` under ``key``."""
    return _CRC.pack(crc32(fields, crc32(key))) + fields


def unsealed(row: bytes, key: bytes) -> bytes:
    """The fields of ``row``. Raises DamagedRow."""
    fields = row[_CRC.size :]
    if len(row) < _CRC.size or _CRC.unpack_from(row)[0] != crc32(fields, crc32(key)):
        raise damaged(key)
    return fields


def damaged(key: bytes) -> DamagedRow:
    return DamagedRow(f"the row of {key.hex()} does not match its checksum")


def encode_update(key: bytes, update: bytes) -> tuple[int, bytes]:
    """Whether it is packed, and the row."""
    if len(update) >= PACKED_FROM_BYTES:
        smaller = compression.packed(update)
        if smaller is not None:
            return 1, sealed(smaller, key + _PACKED)
    return 0, sealed(update, key)


def decode_update(key: bytes, packed: int, row: bytes) -> bytes:
    """Raises DamagedRow."""
    if not packed:
        return unsealed(row, key)
    return compression.unpacked(unsealed(row, key + _PACKED))


def encode_string(text: str) -> bytes:
    """UTF-8; a lone surrogate survives, so that any string comes back as it was."""
    return text.encode("utf-8", "surrogatepass")


def decode_string(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def encode_head(key: bytes, head: Head) -> bytes:
    digest = head.digest
    flags = (_HEAD_DIRTY if head.dirty else 0) | (0 if digest is None else _HEAD_DIGEST)
    packed = _NO_DIGEST if digest is None else digest_key(digest)
    fixed = _HEAD.pack(0, flags, packed, head.size_bytes, head.at_ms)
    return sealed((fixed + head.state_vector)[_CRC.size :], key)


def decode_head(key: bytes, row: bytes) -> Head:
    """Raises DamagedRow."""
    if len(row) < _HEAD.size:
        raise damaged(key)
    checksum, flags, digest, size_bytes, at_ms = _HEAD.unpack_from(row)
    if checksum != crc32(row[_CRC.size :], crc32(key)):
        raise damaged(key)
    held = digest.hex() if flags & _HEAD_DIGEST else None
    state_vector = row[_HEAD.size :]
    fields = document_of(key), state_vector, held, size_bytes, at_ms, flags & _HEAD_DIRTY != 0
    return _new(Head, fields)


def encode_synced(key: bytes, synced: Synced) -> bytes:
    """One agreement, without the provisional one below it."""
    flags = (_SYNCED_EXECUTABLE if synced.executable else 0) | (
        _SYNCED_SAVED_HERE if synced.saved_here else 0
    )
    digest = _NO_DIGEST
    if synced.digest is not None:
        flags |= _SYNCED_DIGEST
        digest = digest_key(synced.digest)
    seen = synced.fingerprint
    if seen is None:
        device = inode = size_bytes = mtime_ns = ctime_ns = 0
    else:
        flags |= _SYNCED_FINGERPRINT | (_SYNCED_FINGERPRINT_EXECUTABLE if seen.executable else 0)
        device, inode, size_bytes = seen.device, seen.inode, seen.size_bytes
        mtime_ns, ctime_ns = seen.mtime_ns, seen.ctime_ns
    kind = _KIND_NUMBERS[synced.kind]
    vector = synced.state_vector
    fixed = _SYNCED.pack(0, kind, flags, digest, device, inode, size_bytes, mtime_ns, ctime_ns, len(vector))
    return sealed((fixed + vector + encode_string(synced.path))[_CRC.size :], key)


def decode_synced(key: bytes, row: bytes, provisional: Synced | None, head: Head | None = None) -> Synced:
    """``key`` is that of the entry and of the depth. Raises DamagedRow.

    What the entry's document has in common with its file is taken from its ``head``, so that it is kept once.
    """
    if len(row) < _SYNCED.size:
        raise damaged(key)
    checksum, kind, flags, packed, device, inode, size_bytes, mtime_ns, ctime_ns, length = (
        _SYNCED.unpack_from(row)
    )
    if checksum != crc32(row[_CRC.size :], crc32(key)):
        raise damaged(key)
    path_at = _SYNCED.size + length
    try:
        path = decode_string(row[path_at:])
    except UnicodeDecodeError:
        raise damaged(key) from None
    if kind >= len(_KINDS) or path_at > len(row):
        raise damaged(key)
    entry: Any = key[:ENTRY_ID_BYTES].hex() if head is None else head.document
    digest: Any = packed.hex() if flags & _SYNCED_DIGEST else None
    state_vector = row[_SYNCED.size : path_at]
    if head is not None:
        digest = head.digest if digest == head.digest else digest
        state_vector = head.state_vector if state_vector == head.state_vector else state_vector
        size_bytes = head.size_bytes if size_bytes == head.size_bytes else size_bytes
    seen = None
    if flags & _SYNCED_FINGERPRINT:
        ctime_ns = mtime_ns if ctime_ns == mtime_ns else ctime_ns
        executable = flags & _SYNCED_FINGERPRINT_EXECUTABLE != 0
        seen = _new(Fingerprint, (device, inode, size_bytes, mtime_ns, ctime_ns, executable))
    executable = flags & _SYNCED_EXECUTABLE != 0
    saved_here = flags & _SYNCED_SAVED_HERE != 0
    fields = entry, path, _KINDS[kind], digest, executable, state_vector, seen, provisional, saved_here
    return _new(Synced, fields)


def path_in_synced(row: bytes) -> bytes:
    """To have many rows in the order of their paths; of a damaged one it may be anything."""
    return row[_SYNCED.size + int.from_bytes(row[_SYNCED.size - 4 : _SYNCED.size], "little") :]


def synced_key(entry: bytes, depth: int) -> bytes:
    """Of the row of an entry's agreement (depth 0) or of the provisional ones below it."""
    return entry + bytes((depth,))


def version_key(entry: bytes, digest: bytes, at_s: float) -> bytes:
    """What the row of a version's text belongs to: nothing of it may change on its own."""
    return entry + digest + _TIME.pack(at_s)
