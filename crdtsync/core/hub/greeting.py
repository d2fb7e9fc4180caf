"""The first frame of a connection: a hello of this version, for a room that can have that name."""

from __future__ import annotations

import json

from crdtsync.core.hub.shared import Refusal
from crdtsync.core.values import limits
from crdtsync.core.values.ids import check_room_name, printable
from crdtsync.core.wire.control import Hello, decode_control, type_of
from crdtsync.core.wire.messages import PROTOCOL_VERSION
from crdtsync.errors import InvalidName, PeerError


def read_hello(frame: str) -> Hello:
    """Raises Refusal, whose message is for the person at the other end."""
    version = _version(frame)
    if version is not None and version != PROTOCOL_VERSION:
        older = "replica" if version < PROTOCOL_VERSION else "hub"
        raise Refusal(
            "version",
            f"This hub speaks version {PROTOCOL_VERSION} of the protocol, this replica version {version}: "
            f"upgrade crdtsync where the {older} runs.",
        )
    try:
        hello = decode_control(frame)
    except PeerError as error:
        raise Refusal("protocol", f"The first frame must be a hello: {error}") from None
    if not isinstance(hello, Hello):
        raise Refusal("protocol", f"The first frame must be a hello, not {type_of(hello)!r}.")
    try:
        check_room_name(hello.room)
    except InvalidName as error:
        raise Refusal("room", printable(str(error), 500)) from None
    return hello


def _version(frame: str) -> int | None:
    """The version that a hello of any version names, before anything else of it is judged."""
    if len(frame) > limits.CONTROL_MAX_BYTES:
        return None
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    if isinstance(message, dict) and message.get("type") == "hello":
        version = message.get("version", PROTOCOL_VERSION)
        if isinstance(version, int) and not isinstance(version, bool):
            return version
    return None
