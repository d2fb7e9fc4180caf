"""The Yjs protocols' frames, against bytes that the JavaScript packages wrote, and against nonsense."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.core.values import limits
from crdtsync.core.wire.awareness import ClientState, decode_awareness, encode_awareness
from crdtsync.core.wire.hocuspocus import (
    Authenticated,
    CloseDocument,
    Message,
    Named,
    Ping,
    Pong,
    Stateless,
    SyncStatus,
    Token,
    decode_hocuspocus,
    document_of,
    encode_hocuspocus,
)
from crdtsync.core.wire.lib0 import varbytes, varstring, varuint
from crdtsync.core.wire.yjs import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    YjsMessage,
    decode_yjs,
    encode_yjs,
)
from crdtsync.errors import PeerError

HI = bytes.fromhex("010100040107636f6e74656e7402686900")
ZOE = ClientState(1, 1, '{"user":{"name":"Zoë 🎈"}}')

FROM_JAVASCRIPT: list[tuple[str, YjsMessage]] = [
    ("000003010102", SyncStep1(bytes.fromhex("010102"))),
    ("00011201010100040107636f6e74656e7402686900", SyncStep2(b"\x01" + HI)),
    ("00021201010100040107636f6e74656e7402686900", SyncUpdate(b"\x01" + HI)),
    ("01210101011d7b2275736572223a7b226e616d65223a225a6fc3ab20f09f8e88227d7d", Awareness((ZOE,))),
    ("03", QueryAwareness()),
    ("0200026e6f", PermissionDenied("no")),
]

FROM_A_PROVIDER: list[tuple[str, Named | Ping | Pong]] = [
    ("0a6e6f7465732f612e6d6402000474c3b66b05342e382e30", Named("notes/a.md", Token("tök", "4.8.0"))),
    ("0a6e6f7465732f612e6d6402000474c3b66b", Named("notes/a.md", Token("tök"))),
    ("0a6e6f7465732f612e6d64000003010102", Named("notes/a.md", SyncStep1(bytes.fromhex("010102")))),
    ("0a6e6f7465732f612e6d6403", Named("notes/a.md", QueryAwareness())),
    ("0a6e6f7465732f612e6d6405026869", Named("notes/a.md", Stateless("hi"))),
    ("0a6e6f7465732f612e6d6407", Named("notes/a.md", CloseDocument())),
    ("09", Ping()),
    ("0a", Pong()),
]

FROM_THE_HUB: list[tuple[Message, str]] = [
    (Authenticated(read_only=False), "020" + "20a" + b"read-write".hex()),
    (Authenticated(read_only=True), "0202" + "08" + b"readonly".hex()),
    (PermissionDenied("no"), "0201026e6f"),
    (SyncStatus(True), "0801"),
    (SyncStatus(False), "0800"),
    (CloseDocument("gone"), "0704" + b"gone".hex()),
]


@pytest.mark.parametrize(("encoded", "message"), FROM_JAVASCRIPT)
def test_y_websocket_frames_are_those_of_the_javascript_packages(encoded: str, message: YjsMessage) -> None:
    assert decode_yjs(bytes.fromhex(encoded)) == message
    assert encode_yjs(message).hex() == encoded


@pytest.mark.parametrize(("encoded", "frame"), FROM_A_PROVIDER)
def test_hocuspocus_frames_are_those_of_the_provider(encoded: str, frame: Named | Ping | Pong) -> None:
    assert decode_hocuspocus(bytes.fromhex(encoded)) == frame


@pytest.mark.parametrize(("message", "encoded"), FROM_THE_HUB)
def test_hocuspocus_answers_are_those_that_the_provider_reads(message: Message, encoded: str) -> None:
    assert encode_hocuspocus(Named("n", message)).hex() == "016e" + encoded


def test_a_document_may_be_named_like_a_ping() -> None:
    name = "a" * 9
    assert decode_hocuspocus(encode_hocuspocus(Named(name, QueryAwareness()))) == Named(
        name, QueryAwareness()
    )


def test_a_session_is_no_part_of_the_document() -> None:
    assert document_of("notes/a.md\0x7f") == document_of("notes/a.md") == "notes/a.md"


def test_half_a_surrogate_pair_is_written_as_javascript_writes_it() -> None:
    assert varstring("\ud800x").hex() == "04efbfbd78"
    assert varstring("🎈") == varbytes("🎈".encode())


@pytest.mark.parametrize(
    "state",
    ["", "{", "NaN", '{"a":Infinity}', "[" * 100_000, '"' + "x" * limits.AWARENESS_STATE_MAX_CHARS + '"'],
)
def test_an_awareness_state_that_a_client_could_not_read_is_refused(state: str) -> None:
    with pytest.raises(PeerError):
        decode_awareness(encode_awareness([ClientState(1, 1, state)]))


def test_an_awareness_update_of_absurd_length_is_refused() -> None:
    with pytest.raises(PeerError, match="clients"):
        decode_awareness(varuint(limits.AWARENESS_CLIENTS_MAX + 1))


@pytest.mark.parametrize(
    "frame", ["", "00", "0003", "000005", "04", "0201", "000003010102ff", "0100", "020001ff"]
)
def test_a_malformed_y_websocket_frame_is_refused(frame: str) -> None:
    with pytest.raises(PeerError):
        decode_yjs(bytes.fromhex(frame))


@pytest.mark.parametrize("frame", ["", "016e", "016e06", "016e08", "016e0201", "01ff03", "05016e"])
def test_a_malformed_hocuspocus_frame_is_refused(frame: str) -> None:
    with pytest.raises(PeerError):
        decode_hocuspocus(bytes.fromhex(frame))


def test_a_token_of_absurd_length_is_refused() -> None:
    for length, fits in ((limits.TOKEN_MAX_CHARS, True), (limits.TOKEN_MAX_CHARS + 1, False)):
        frame = encode_hocuspocus(Named("a/b", Token("x" * length)))
        if fits:
            assert decode_hocuspocus(frame) == Named("a/b", Token("x" * length))
        else:
            with pytest.raises(PeerError):
                decode_hocuspocus(frame)


def test_a_document_name_of_absurd_length_is_refused() -> None:
    with pytest.raises(PeerError, match="name"):
        decode_hocuspocus(varstring("n" * (limits.DOCUMENT_NAME_MAX_CHARS + 1)) + b"\x03")


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(frame: bytes) -> None:
    for decode in (decode_yjs, decode_hocuspocus):
        with contextlib.suppress(PeerError):
            decode(frame)
