"""The JSON control messages, in text frames: greeting, refusal and presence.

Validated by pydantic's core alone: to import all of pydantic, and to have it make the models, takes a fifth
of a replica's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Final, Literal, TypeAlias, get_args

from pydantic_core import SchemaValidator, ValidationError, core_schema, to_json

from crdtsync.core.values import limits
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.messages import PROTOCOL_VERSION
from crdtsync.errors import PeerError

Schema: TypeAlias = core_schema.CoreSchema
Code: TypeAlias = Literal["version", "room", "denied", "limit", "protocol", "shutdown"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a replica has read: ``sequence`` within the hub's ``epoch``."""

    epoch: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Hello:
    """Replica → hub, the first frame of either socket. ``read_only``: it wants no more than to read."""

    room: str
    replica: str
    version: int = PROTOCOL_VERSION
    name: str = ""
    cursor: Cursor | None = None
    token: str | None = field(default=None, repr=False)
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Welcome:
    """Hub → replica. ``resume``: the cursor is honoured; otherwise the replica compares everything.

    ``read_only``: whoever pushes is refused.
    """

    member: int
    epoch: str
    sequence: int
    resume: bool
    version: int = PROTOCOL_VERSION
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Hub → replica, the last frame before it closes. ``message`` is for a person."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class TextCursors:
    """Where someone is in a text: (anchor, head) in code points, of the text as they see it."""

    document: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Presence:
    """Either way: who is here and which paths they edited in the last minute. ``member`` is the hub's.

    ``cursors``: in the texts that an editor there has open. ``wanted`` are the digests of blobs that the hub
    did not have: whoever holds one offers it again.
    """

    member: int = 0
    name: str = ""
    editing: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    cursors: tuple[TextCursors, ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """Hub → replica: a member is gone."""

    member: int


Control: TypeAlias = Hello | Welcome | Refused | Presence | Left
_TYPES: Final[Mapping[type[Control], str]] = {
    Hello: "hello",
    Welcome: "welcome",
    Refused: "refused",
    Presence: "presence",
    Left: "left",
}
_CLASSES: Final = {name: cls for cls, name in _TYPES.items()}
_CODES: Final = get_args(Code)

# -- what may stand in a message ------------------------------------------------------------------------

_INT: Final = core_schema.int_schema()
_STR: Final = core_schema.str_schema()
_BOOL: Final = core_schema.bool_schema()
_NATURAL: Final = core_schema.int_schema(ge=0)


def _str_to(max_chars: int) -> Schema:
    return core_schema.str_schema(max_length=max_chars)


def _hex_of(digits: int) -> Schema:
    return core_schema.str_schema(pattern=f"^[0-9a-f]{{{digits}}}$")


def _tuple_of(items: Schema, max_items: int | None = None) -> Schema:
    return core_schema.tuple_variable_schema(items, max_length=max_items)


def _record(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with these fields; what else it has is ignored."""
    known = {name: core_schema.typed_dict_field(kind) for name, kind in required.items()}
    for name, kind in optional.items():
        known[name] = core_schema.typed_dict_field(kind, required=False)
    return core_schema.typed_dict_schema(known, extra_behavior="ignore")


def _message(type_name: str, required: Mapping[str, Schema], **optional: Schema) -> tuple[str, Schema]:
    return type_name, _record({"type": core_schema.literal_schema([type_name]), **required}, **optional)


_EPOCH: Final = _str_to(64)
_PERSON: Final = _str_to(limits.PERSON_NAME_SENT_MAX_CHARS)
_CURSOR: Final = _record({"epoch": _EPOCH, "sequence": core_schema.int_schema(ge=0, lt=1 << 53)})
_TEXT_CURSORS: Final = _record(
    {
        "document": _hex_of(24),
        "ranges": _tuple_of(
            core_schema.tuple_positional_schema([_NATURAL, _NATURAL]), limits.PRESENCE_RANGES_MAX
        ),
    }
)
_MESSAGES: Final[Mapping[str, Schema]] = dict(
    (
        _message(
            "hello",
            {"room": _str_to(4 * limits.ROOM_NAME_MAX_CHARS), "replica": _str_to(64)},
            version=_INT,
            name=_PERSON,
            cursor=core_schema.nullable_schema(_CURSOR),
            token=core_schema.nullable_schema(_str_to(limits.TOKEN_MAX_CHARS)),
            read_only=_BOOL,
        ),
        _message(
            "welcome",
            {"member": _INT, "epoch": _STR, "sequence": _INT, "resume": _BOOL},
            version=_INT,
            read_only=_BOOL,
        ),
        _message("refused", {"code": core_schema.literal_schema(list(_CODES)), "message": _STR}),
        _message(
            "presence",
            {},
            member=_INT,
            name=_PERSON,
            editing=_tuple_of(_str_to(limits.PATH_MAX_BYTES), limits.PRESENCE_PATHS_MAX),
            wanted=_tuple_of(_hex_of(64), limits.PRESENCE_WANTED_MAX),
            cursors=_tuple_of(_TEXT_CURSORS, limits.PRESENCE_PATHS_MAX),
        ),
        _message("left", {"member": _INT}),
    )
)
_VALID: Final = SchemaValidator(core_schema.tagged_union_schema(dict(_MESSAGES), "type"))
_VALID_CURSOR: Final = SchemaValidator(_CURSOR)

# -- as JSON --------------------------------------------------------------------------------------------


def type_of(message: Control) -> str:
    """What the message calls itself."""
    return _TYPES[type(message)]


def encode_control(message: Control) -> str:
    return _to_json({"type": type_of(message), **_fields_of(message)})


def decode_control(frame: str) -> Control:
    """Raises PeerError, naming the field, for anything else than one of the messages above."""
    if len(frame) > limits.CONTROL_MAX_BYTES:
        raise PeerError(f"a control message of {len(frame)} characters, above {limits.CONTROL_MAX_BYTES}")
    try:
        values: dict[str, Any] = _VALID.validate_json(frame)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise PeerError(f"a control message with a wrong {where}: {first['msg']}") from None
    if values.get("cursor") is not None:
        values["cursor"] = Cursor(**values["cursor"])
    if "cursors" in values:
        values["cursors"] = tuple(TextCursors(**each) for each in values["cursors"])
    return _CLASSES[values.pop("type")](**values)


def encode_cursor(cursor: Cursor) -> str:
    return _to_json(_fields_of(cursor))


def decode_cursor(written: str) -> Cursor:
    """Raises ValueError."""
    return Cursor(**_VALID_CURSOR.validate_json(written))


def _to_json(values: Mapping[str, object]) -> str:
    return to_json(values, fallback=_fields_of).decode()


def _fields_of(value: Any) -> dict[str, object]:
    return {each.name: getattr(value, each.name) for each in fields(value)}
