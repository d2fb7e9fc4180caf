"""Identities: entries, documents, replicas, rooms and people; how they are made and checked."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import NewType, Protocol, TypeGuard

from crdtsync.core.values import limits
from crdtsync.errors import AccessDenied, InvalidName

EntryId = NewType("EntryId", str)
"""24 lower-case hex digits: the identity of one entry, kept through renames."""

DocumentId = NewType("DocumentId", str)
"""An EntryId, or TREE."""

TREE = DocumentId("tree")

ENTRY_ID_BYTES = 12
_ENTRY_ID = re.compile(r"[0-9a-f]{24}\Z")
_ROOM = re.compile(r"[^\s/\\\x00-\x1f\x7f]+\Z")

_CLIENT_ID_BITS = 53


class Randomness(Protocol):
    """The part of ``random.Random`` that the core uses; given as an argument so that a seed replays all."""

    def randbytes(self, n: int, /) -> bytes: ...

    def getrandbits(self, k: int, /) -> int: ...

    def random(self) -> float: ...


def new_entry_id(rng: Randomness) -> EntryId:
    return EntryId(rng.randbytes(ENTRY_ID_BYTES).hex())


def new_client_id(rng: Randomness) -> int:
    """A Yjs client id: 53 random bits, above the 32 bits that Yjs itself draws, so that none meets ours."""
    return rng.getrandbits(_CLIENT_ID_BITS - 1) | 1 << (_CLIENT_ID_BITS - 1)


def is_client_id_of_ours(client_id: int) -> bool:
    """Whether a folder typed under it, not a Yjs client."""
    return client_id >> (_CLIENT_ID_BITS - 1) == 1


def client_id_in(document: EntryId, client_id: int) -> int:
    """The id under which ``client_id`` types into one document.

    So hardly any id is in two documents, and two state vectors with an id in common are of one document. The
    upper half stays: of two who type at one place at once the same one comes first in all documents.
    """
    key = client_id.to_bytes(8, "little")
    drawn = hashlib.blake2b(document.encode(), digest_size=8, key=key).digest()
    lower = (1 << _CLIENT_ID_BITS // 2) - 1
    return client_id & ~lower | int.from_bytes(drawn, "little") & lower


def entry_of_client(path: str, client_id: int) -> EntryId:
    """The identity of the file that a Yjs client makes at ``path``, with that id as its document's first."""
    key = client_id.to_bytes(8, "little")
    made = hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=ENTRY_ID_BYTES, key=key)
    return EntryId(made.hexdigest())


def is_entry_id(value: object) -> TypeGuard[EntryId]:
    return isinstance(value, str) and _ENTRY_ID.match(value) is not None


def check_room_name(name: str) -> str:
    """Return ``name`` if it can name a room.

    Raises InvalidName: empty, too long, not NFC, a dot name, or with spaces, slashes or controls.
    """
    if not name:
        raise InvalidName("A room needs a name, for example: notes")
    if len(name) > limits.ROOM_NAME_MAX_CHARS:
        raise InvalidName(
            f"The room name is {len(name)} characters long; use at most {limits.ROOM_NAME_MAX_CHARS}"
        )
    if not _ROOM.match(name) or name in {".", ".."} or name.startswith("-") or not name.isprintable():
        raise InvalidName(
            f"The room name {printable(name)!r} cannot be used: "
            "use letters, digits, '-', '_' and '.', without spaces or slashes"
        )
    if unicodedata.normalize("NFC", name) != name:
        raise InvalidName(f"The room name {name!r} is not in Unicode form NFC; type it again")
    return name


def is_token(text: str) -> bool:
    """Whether ``text`` can be the token of an invite: printable ASCII without spaces, of a bounded length."""
    fits = 0 < len(text) <= limits.TOKEN_MAX_CHARS
    return fits and text.isascii() and text.isprintable() and " " not in text


def check_token(token: str | None) -> str | None:
    """Return ``token`` if it is none, or can be one. Raises AccessDenied, which never repeats it."""
    if token is not None and not is_token(token):
        raise AccessDenied(
            "The token cannot be one: an invite's token has letters, digits, '.', '-' and '_' only, "
            f"and at most {limits.TOKEN_MAX_CHARS} of them. Copy the whole of the invite again"
        )
    return token


def printable(text: str, limit: int = 200) -> str:
    """``text`` with control, format and undecodable characters made harmless for a terminal."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: limit + 1])
    return shown if len(text) <= limit else shown[: limit - 1] + "…"


def person_name(name: str) -> str:
    """``name`` made harmless in a file name: printable, no separators, at most 32 characters."""
    kept = "".join("-" if char in '/\\:*?"<>|()' else char for char in printable(name).strip(" ."))
    return kept[: limits.PERSON_NAME_MAX_CHARS].strip() or "someone"
