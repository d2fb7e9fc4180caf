"""The library without asyncio: ``crdtsync.blocking``."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from crdtsync import blocking, errors
from crdtsync.api.blocking import Hub, Room
from tests.waiting import eventually

WAIT_S = 30.0


@pytest.fixture
def hub() -> Iterator[Hub]:
    with blocking.Hub() as running:
        yield running


@pytest.fixture
def room(hub: Hub) -> Iterator[Room]:
    with blocking.connect(hub.url, "notes", name="Ann") as entered:
        yield entered


def test_two_programs_type_into_one_text(hub: Hub, room: Room) -> None:
    with (
        room.open("todo.md", create=True) as document,
        blocking.connect(hub.url, "notes", name="Bob") as bob,
    ):
        changes = document.changes(WAIT_S)
        document.append("milk 🥛\n")
        room.settled(WAIT_S)
        bob.settled(WAIT_S)
        with bob.open("todo.md") as theirs:
            assert theirs.update(lambda text: "bread\n" + text) == "bread\nmilk 🥛\n"
            assert next(changes).own
            assert next(changes).edits[0].text == "bread\n"
            assert document.text == "bread\nmilk 🥛\n"
            assert document.undo() and document.text == "bread\n"


def test_files_are_listed_written_and_read(room: Room) -> None:
    watch = room.watch(WAIT_S)
    room.write("a/b.bin", [b"\0", b"1"])
    assert (next(watch).path, room.read_bytes("a/b.bin")) == ("a/b.bin", b"\x001")
    assert b"".join(room.read("a/b.bin")) == b"\x001"
    room.move("a", "c")
    assert [entry.path for entry in room.list()] == ["c/b.bin"]
    with pytest.raises(errors.NoSuchFile):
        room.delete("a/b.bin")
    assert room.status().connected and room.people() == () and room.conflicts() == []


def test_a_wait_ends_when_its_time_is_over_and_the_rest_goes_on(room: Room) -> None:
    document = room.open("a.txt", create=True)
    with pytest.raises(TimeoutError):
        next(document.changes(0.01))
    document.append("x")
    assert room.read_text("a.txt") == "x"


def test_many_threads_use_one_room(room: Room) -> None:
    document = room.open("log.txt", create=True)

    def write(who: int) -> None:
        for number in range(20):
            document.append(f"{who}.{number}\n")

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    lines = document.text.splitlines()
    assert sorted(lines) == sorted(f"{who}.{number}" for who in range(4) for number in range(20))


def test_what_is_left_is_closed_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with blocking.Hub() as hub, blocking.connect(hub.url, "notes") as room:
        document = room.open("a.txt", create=True)
        changes = document.changes()
        document.append("x")
        assert next(changes).own
    eventually(lambda: threading.active_count() == before, "all threads have ended")
    for ask in (lambda: room.list(), lambda: document.text, lambda: hub.url, lambda: next(changes)):
        with pytest.raises(errors.Closed):
            ask()
    document.close()


def test_an_error_while_entering_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(errors.HubUnreachable), blocking.connect("ws://127.0.0.1:1", "notes", timeout_s=0.2):
        pass
    eventually(lambda: threading.active_count() == before, "all threads have ended")


def test_a_call_back_into_the_room_is_told_and_does_not_hang(room: Room) -> None:
    document = room.open("a.txt", create=True)
    with pytest.raises(RuntimeError, match="wait for itself"):
        document.update(lambda _: document.text)
