"""What a program and the replica of a joined folder say to each other on the socket ``programs``.

One JSON object a line, in UTF-8. A request has an ``id`` and is answered by a ``result`` or an ``error``, in
any order; what has no ``id`` is not answered. Both ends check what they are told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from crdtsync.api.values import Entry, Event, TextEdit, TreeChange
from crdtsync.core.replica.status import Conflict, Status
from crdtsync.errors import CrdtsyncError, PeerError, class_named
from crdtsync.runtime.blob_job import Transfer

PROTOCOL: Final = 1
"""Of this socket alone; raised when an old program could misunderstand a new replica, or the reverse."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Offset: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 32)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Edits: TypeAlias = Annotated[tuple[tuple[Offset, Offset, str], ...], Field(max_length=1_000_000)]


class _Params(BaseModel):
    model_config = ConfigDict(strict=False, extra="ignore", frozen=True)


class Nothing(_Params):
    pass


class Hello(_Params):
    protocol: int


class OfFolder(_Params):
    folder: str = ""


class OfPath(_Params):
    path: str


class OpenText(_Params):
    """``document``: the number by which the text is known on this connection from then on."""

    document: int
    path: str
    create: bool = False


class Move(_Params):
    path: str
    to: str


class Write(_Params):
    """``text``, or the name of a file in staging; ``new``: nothing may stand there."""

    path: str
    new: bool = False
    text: str | None = None
    staged: Annotated[str, Field(pattern=r"^program-[0-9a-f]{16}$")] | None = None


class OfStream(_Params):
    stream: int


class Cancel(_Params):
    request: int


class Edit(_Params):
    """Of an open text, made when ``taken`` edits of the other side had been; none: to confirm those only.

    ``origin``: whom the edit is from, as (kind, name); of those that the replica tells.
    """

    document: int
    taken: Count
    edits: Edits = ()
    origin: tuple[Literal["self", "program", "disk", "room", "several"], str] = ("program", "")


class Cursors(_Params):
    """Somebody's, in the text as ``Edit`` says; as (anchor, head), none: nowhere. ``person``: told by the
    replica, and the same for all that it tells of one person."""

    document: int
    taken: Count
    ranges: Annotated[tuple[tuple[Offset, Offset], ...], Field(max_length=1000)] = ()
    person: str = ""
    name: str = ""


class OfDocument(_Params):
    document: int


class Ended(_Params):
    """An open text is no more: why."""

    document: int
    code: str
    message: str


class Stands(_Params):
    """``path`` None: it was deleted."""

    document: int
    path: str | None


class Opened(_Params):
    """What a text that was asked for holds: told before its request is answered."""

    document: int
    path: str
    text: str


class Welcome(_Params):
    protocol: int
    room: str
    hub: str


class Content(_Params):
    """``text`` None: it is on disk."""

    text: str | None = None


OfText: TypeAlias = Opened | Edit | Cursors | Stands | Ended
OF_A_TEXT: Final[Mapping[str, type[OfText]]] = {
    "opened": Opened,
    "edit": Edit,
    "cursors": Cursors,
    "stands": Stands,
    "closed": Ended,
}
"""What the replica tells of an open text."""

STATUS: Final = TypeAdapter(Status)
ENTRIES: Final = TypeAdapter(list[Entry])
CONFLICTS: Final = TypeAdapter(list[Conflict])
TRANSFERS: Final = TypeAdapter(list[Transfer])
EVENTS: Final = TypeAdapter(list[Event])
TREE_CHANGES: Final = TypeAdapter(list[TreeChange])
ENTRY: Final[TypeAdapter[Entry | None]] = TypeAdapter(Entry | None)
_OBJECT: Final = TypeAdapter(dict[str, Any])


def encode(message: Mapping[str, Any]) -> bytes:
    """One line. Texts are Unicode scalar values only: lone surrogates become ``?``."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Raises PeerError."""
    try:
        return _OBJECT.validate_python(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise PeerError("a message is not a JSON object") from error


def params(model: type[M], told: object) -> M:
    """Raises PeerError naming what is wrong."""
    return value(TypeAdapter(model), told)


def value(kind: TypeAdapter[T], told: object) -> T:
    """Raises PeerError naming what is wrong."""
    try:
        return kind.validate_python(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PeerError(f"{where or 'it'}: {first['msg']}") from error


def triples(edits: Iterable[TextEdit]) -> tuple[tuple[int, int, str], ...]:
    return tuple((edit.start, edit.end, edit.text) for edit in edits)


def edits_of(message: Edit) -> tuple[TextEdit, ...]:
    return tuple(TextEdit(*edit) for edit in message.edits)


def failure(error: CrdtsyncError) -> dict[str, str]:
    return {"code": type(error).__name__, "message": str(error)}


def error_of(told: object) -> CrdtsyncError:
    """The error as the class that it had there; the base of all for a name of another version."""
    match told:
        case {"code": str(code), "message": str(message)}:
            return class_named(code)(message)
        case _:
            return PeerError("The replica's answer cannot be understood; it may be of another version")
