"""The JSON control messages, in text frames: greeting, refusal and presence, validated by pydantic."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from crdtsync.core.values import limits
from crdtsync.core.wire.messages import PROTOCOL_VERSION
from crdtsync.errors import PeerError


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Cursor(_Message):
    """How far a replica has read: ``sequence`` within the hub's ``epoch``."""

    epoch: Annotated[str, Field(max_length=64)]
    sequence: Annotated[int, Field(ge=0, lt=1 << 53)]


class Hello(_Message):
    """Replica → hub, the first frame of either socket."""

    type: Literal["hello"] = "hello"
    version: int = PROTOCOL_VERSION
    room: Annotated[str, Field(max_length=4 * limits.ROOM_NAME_MAX_CHARS)]
    replica: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=4 * limits.PERSON_NAME_MAX_CHARS)] = ""
    cursor: Cursor | None = None
    token: Annotated[str, Field(max_length=4096)] | None = Field(default=None, repr=False)
    read_only: bool = False
    """It wants no more than to read."""


class Welcome(_Message):
    """Hub → replica. ``resume``: the cursor is honoured; otherwise the replica compares everything.

    ``read_only``: whoever pushes is refused.
    """

    type: Literal["welcome"] = "welcome"
    version: int = PROTOCOL_VERSION
    member: int
    epoch: str
    sequence: int
    resume: bool
    read_only: bool = False


class Refused(_Message):
    """Hub → replica, the last frame before it closes. ``message`` is for a person."""

    type: Literal["refused"] = "refused"
    code: Literal["version", "room", "denied", "limit", "protocol", "shutdown"]
    message: str


class TextCursors(_Message):
    """Where someone is in a text: (anchor, head) in code points, of the text as they see it."""

    document: Annotated[str, Field(pattern="^[0-9a-f]{24}$")]
    ranges: Annotated[
        tuple[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]], ...],
        Field(max_length=limits.PRESENCE_RANGES_MAX),
    ]


class Presence(_Message):
    """Either way: who is here and which paths they edited in the last minute. ``member`` is the hub's.

    ``cursors``: in the texts that an editor there has open. ``wanted`` are the digests of blobs that the hub
    did not have: whoever holds one offers it again.
    """

    type: Literal["presence"] = "presence"
    member: int = 0
    name: Annotated[str, Field(max_length=4 * limits.PERSON_NAME_MAX_CHARS)] = ""
    editing: Annotated[
        tuple[Annotated[str, Field(max_length=limits.PATH_MAX_BYTES)], ...],
        Field(max_length=limits.PRESENCE_PATHS_MAX),
    ] = ()
    wanted: Annotated[
        tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...],
        Field(max_length=limits.PRESENCE_WANTED_MAX),
    ] = ()
    cursors: Annotated[tuple[TextCursors, ...], Field(max_length=limits.PRESENCE_PATHS_MAX)] = ()


class Left(_Message):
    """Hub → replica: a member is gone."""

    type: Literal["left"] = "left"
    member: int


Control: TypeAlias = Annotated[Hello | Welcome | Refused | Presence | Left, Field(discriminator="type")]
_ADAPTER: TypeAdapter[Hello | Welcome | Refused | Presence | Left] = TypeAdapter(Control)


def encode_control(message: Hello | Welcome | Refused | Presence | Left) -> str:
    return message.model_dump_json()


def decode_control(frame: str) -> Hello | Welcome | Refused | Presence | Left:
    """Raises PeerError, naming the field, for anything else than one of the messages above."""
    if len(frame) > limits.CONTROL_MAX_BYTES:
        raise PeerError(f"a control message of {len(frame)} characters, above {limits.CONTROL_MAX_BYTES}")
    try:
        return _ADAPTER.validate_json(frame)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise PeerError(f"a control message with a wrong {where}: {first['msg']}") from None
