"""What editors say: JSON-RPC messages, validated by pydantic; what they mean is left to the session.

https://www.jsonrpc.org/specification. Each method is taken as a request and as a notification.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from crdtsync.core.editor.answers import BAD_PARAMS, NO_METHOD, NO_REQUEST, NOT_JSON, Id
from crdtsync.core.editor.positions import Lines, Position
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.offsets import well_formed
from crdtsync.core.values import limits

_Count = Annotated[int, Field(ge=0, lt=1 << 31)]
_Uri = Annotated[str, Field(max_length=limits.URI_MAX_CHARS)]
_Text = Annotated[str, Field(max_length=limits.TEXT_REMAINS_MAX_BYTES)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class RangeEnd(_Message):
    line: _Count
    character: _Count

    @property
    def value(self) -> Position:
        return Position(self.line, self.character)


class _Range(_Message):
    start: RangeEnd
    end: RangeEnd


class _Replacement(_Message):
    range: _Range
    replacement: _Text


class Open(_Message):
    uri: _Uri
    content: _Text = ""


class Close(_Message):
    uri: _Uri


class EditParams(_Message):
    """``mark``: the number that our own bridge gives its edits."""

    uri: _Uri
    mark: _Count | None = None
    revision: _Count
    delta: Annotated[list[_Replacement], Field(max_length=limits.EDITS_PER_MESSAGE_MAX)]

    def edits(self, shown: str) -> list[Edit]:
        """Of the text that the editor showed before. Raises ValueError for a position that it has not."""
        lines = Lines(shown)
        found = []
        for each in self.delta:
            start, end = lines.offset(each.range.start.value), lines.offset(each.range.end.value)
            found.append(Edit(min(start, end), max(start, end), well_formed(each.replacement)))
        return found


class CursorParams(_Message):
    uri: _Uri
    ranges: Annotated[list[_Range], Field(max_length=limits.EDITS_PER_MESSAGE_MAX)]


class Resume(_Message):
    """Our own bridge says who it is, and asks how far its edits were taken."""

    bridge: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


Params: TypeAlias = Open | Close | EditParams | CursorParams | Resume


class _Envelope(_Message):
    id: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | Annotated[str, Field(max_length=256)] | None = None
    method: Annotated[str, Field(max_length=64)]
    params: Any = None


_ENVELOPE: Final[TypeAdapter[_Envelope]] = TypeAdapter(_Envelope)
_METHODS: Final[dict[str, TypeAdapter[Any]]] = {
    "open": TypeAdapter(Open),
    "close": TypeAdapter(Close),
    "edit": TypeAdapter(EditParams),
    "cursor": TypeAdapter(CursorParams),
    "resume": TypeAdapter(Resume),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that means something; a notification has no ``id``."""

    id: Id
    params: Params


@dataclass(frozen=True, slots=True)
class Wrong:
    """A message that means nothing."""

    id: Id
    code: int
    message: str
    edited: str | None = None
    """The URI of an edit that counts, though it cannot be made."""


def read(line: bytes | str) -> Asked | Wrong:
    """What an editor says in one line; never raises."""
    try:
        value = json.loads(line.decode("utf-8", "replace") if isinstance(line, bytes) else line)
    except (ValueError, RecursionError):
        return Wrong(None, NOT_JSON, "this is not JSON")
    try:
        envelope = _ENVELOPE.validate_python(value)
    except ValidationError as error:
        known = value.get("id") if isinstance(value, dict) else None
        known = known if isinstance(known, int | str) and not isinstance(known, bool) else None
        return Wrong(known, NO_REQUEST, f"this is no request: {_first(error)}")
    adapter = _METHODS.get(envelope.method)
    if adapter is None:
        return Wrong(envelope.id, NO_METHOD, f"there is no method {envelope.method!r}")
    try:
        return Asked(envelope.id, adapter.validate_python(envelope.params))
    except ValidationError as error:
        uri = envelope.params.get("uri") if isinstance(envelope.params, dict) else None
        edited = uri if envelope.method == "edit" and isinstance(uri, str) else None
        return Wrong(envelope.id, BAD_PARAMS, f"wrong parameters: {_first(error)}", edited)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if not first["loc"]:
        return "it is no object"
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"
