"""What Yjs clients send, made up from decisions: sync messages and awareness, alone and by document name."""

from __future__ import annotations

import json

from crdtsync.core.wire.awareness import ClientState, encode_awareness
from crdtsync.core.wire.hocuspocus import CloseDocument, Named, Ping, Stateless, Token, encode_hocuspocus
from crdtsync.core.wire.yjs import (
    Awareness,
    QueryAwareness,
    Sync,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    encode_yjs,
)
from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.frames import json_value, update
from crdtsync.testing.fuzzing.updates import CLIENTS, state_vector


def states(choices: Choices) -> tuple[ClientState, ...]:
    return tuple(
        ClientState(
            choices.number(choices.pick(CLIENTS)),
            choices.number(choices.below(9)),
            "null" if choices.chance(4) else json.dumps(json_value(choices)),
        )
        for _ in range(choices.below(4))
    )


def awareness(choices: Choices) -> bytes:
    return encode_awareness(states(choices))


def sync(choices: Choices) -> Sync:
    match choices.below(3):
        case 0:
            return SyncStep1(state_vector(choices))
        case 1:
            return SyncStep2(update(choices))
        case _:
            return SyncUpdate(update(choices))


def yjs(choices: Choices) -> bytes:
    match choices.below(4):
        case 0:
            return encode_yjs(Awareness(states(choices)))
        case 1:
            return encode_yjs(QueryAwareness())
        case _:
            return encode_yjs(sync(choices))


def hocuspocus(choices: Choices) -> bytes:
    name = choices.pick(("notes/a.md", "notes", "", "é/😀", "notes/a.md\0session", "x" * 5000))
    match choices.below(7):
        case 0:
            return encode_hocuspocus(Ping())
        case 1:
            return encode_hocuspocus(Named(name, Token(choices.pick(("", "secret", "x" * 5000)))))
        case 2:
            return encode_hocuspocus(Named(name, Stateless("x")))
        case 3:
            return encode_hocuspocus(Named(name, CloseDocument("bye")))
        case 4:
            return encode_hocuspocus(Named(name, Awareness(states(choices))))
        case _:
            return encode_hocuspocus(Named(name, sync(choices)))
