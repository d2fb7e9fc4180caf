"""A room without a folder: ``crdtsync.connect``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

import crdtsync
from crdtsync import Cursor, TextEdit, TreeChange, errors
from crdtsync.api.hub import Invitation
from crdtsync.core.values import limits
from tests.waiting import DEADLINE_S, until


@pytest.fixture
async def hub() -> AsyncIterator[crdtsync.Hub]:
    async with crdtsync.Hub() as running:
        yield running


async def test_two_programs_type_into_one_text(hub: crdtsync.Hub) -> None:
    async with crdtsync.connect(hub.url, "notes") as ann, crdtsync.connect(hub.url, "notes") as bob:
        mine = await ann.open("todo.md", create=True)
        mine.append("milk 🥛\n")
        await ann.settled()
        await bob.settled()
        theirs = await bob.open("todo.md")
        assert theirs.text == "milk 🥛\n"
        theirs.edit([TextEdit(7, 7, "bread\n"), TextEdit(0, 0, "# To buy\n")])
        mine.edit([TextEdit(5, 6, "and cream")])
        await until(lambda: mine.text == theirs.text == "# To buy\nmilk and cream\nbread\n")


async def test_changes_tell_every_edit_with_its_origin(hub: crdtsync.Hub) -> None:
    async with (
        crdtsync.connect(hub.url, "notes", name="Ann") as ann,
        crdtsync.connect(hub.url, "notes", name="Bob") as bob,
    ):
        mine = await ann.open("a.txt", create=True)
        again = await ann.open("a.txt")
        await ann.settled()
        await bob.settled()
        theirs = await bob.open("a.txt")
        changes = mine.changes()
        mine.append("one ")
        again.append("two ")
        await until(lambda: theirs.text == "one two ")
        theirs.append("three")
        got: list[crdtsync.Change] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(got) < 3:
                got.append(await anext(changes))
        assert [(change.origin.kind, change.edits[0].text) for change in got] == [
            ("self", "one "),
            ("program", "two "),
            ("room", "three"),
        ]
        mine.close()
        with pytest.raises(StopAsyncIteration):
            await anext(changes)


async def test_a_slow_reader_gets_one_change_for_many(hub: crdtsync.Hub) -> None:
    async with crdtsync.connect(hub.url, "notes") as room:
        document = await room.open("a.txt", create=True)
        changes = document.changes()
        for number in range(10 * limits.CHANGES_QUEUED_MAX):
            document.insert(number // 2, f"{number} ")
        mirror, count = "", 0
        while mirror != document.text:
            change = await anext(changes)
            for edit in reversed(change.edits):
                mirror = mirror[: edit.start] + edit.text + mirror[edit.end :]
            count += 1
        assert count == limits.CHANGES_QUEUED_MAX


async def test_undo_takes_back_only_what_was_typed_here(hub: crdtsync.Hub) -> None:
    async with crdtsync.connect(hub.url, "notes") as ann, crdtsync.connect(hub.url, "notes") as bob:
        mine = await ann.open("a.txt", create=True)
        mine.append("mine")
        await ann.settled()
        await bob.settled()
        theirs = await bob.open("a.txt")
        theirs.insert(2, "-theirs-")
        await until(lambda: mine.text == "mi-theirs-ne")
        assert mine.undo() and mine.text == "-theirs-"
        assert not mine.undo()
        assert mine.redo() and mine.text == "mi-theirs-ne"
        await until(lambda: theirs.text == "mi-theirs-ne")


async def test_cursors_of_others_are_seen_and_follow_the_text(hub: crdtsync.Hub) -> None:
    async with (
        crdtsync.connect(hub.url, "notes", name="Ann") as ann,
        crdtsync.connect(hub.url, "notes", name="Bob") as bob,
    ):
        mine = await ann.open("a.txt", create=True)
        mine.append("one two")
        mine.set_cursor(4, 7)
        await ann.settled()
        await bob.settled()
        theirs = await bob.open("a.txt")
        await until(lambda: theirs.cursors == [Cursor("Ann", 4, 7)])
        theirs.insert(0, "zero ")
        assert theirs.cursors == [Cursor("Ann", 9, 12)]
        await until(lambda: mine.cursor == (9, 12))
        theirs.set_cursor(0)
        await until(lambda: mine.cursors == [Cursor("Bob", 0, 0)])
        with pytest.raises(errors.InvalidEdit):
            mine.set_cursor(13)
        theirs.close()
        await until(lambda: mine.cursors == [])
        again = await ann.open("a.txt")
        assert again.cursors == [Cursor("Ann", 9, 12)]
        mine.set_cursor(None)
        assert again.cursors == []


async def test_what_is_typed_while_the_hub_is_away_goes_out_later(tmp_path: object) -> None:
    from pathlib import Path

    data = Path(str(tmp_path)) / "hub"
    async with crdtsync.Hub(data=data) as first:
        url, port = first.url, int(first.url.rsplit(":", 1)[1])
        ann = crdtsync.connect(url, "notes")
        await ann.__aenter__()
        document = await ann.open("a.txt", create=True)
        document.append("before ")
        await ann.settled()
    document.append("while it was away")
    await until(lambda: _state_is(ann, "offline"))
    async with crdtsync.Hub(port=port, data=data), crdtsync.connect(url, "notes") as bob:
        await ann.settled()
        await bob.settled()
        assert (await bob.open("a.txt")).text == "before while it was away"
        await ann.__aexit__(None, None, None)


async def _state_is(room: crdtsync.Room, state: str) -> bool:
    return (await room.status()).state == state


async def test_leaving_brings_what_was_done_last_to_the_hub(hub: crdtsync.Hub) -> None:
    async with crdtsync.connect(hub.url, "notes") as room:
        (await room.open("a.txt", create=True)).append("last words")
    async with crdtsync.connect(hub.url, "notes") as room:
        assert await room.read_text("a.txt") == "last words"


async def test_leaving_tells_what_the_hub_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtsync.api.connected.LEAVE_TIMEOUT_S", 0.1)
    async with crdtsync.Hub() as hub:
        room = crdtsync.connect(hub.url, "notes")
        await room.__aenter__()
    document = await room.open("a.txt", create=True)
    document.append("nobody will know")
    with pytest.raises(errors.HubUnreachable, match="before the hub had the changes of 2 files"):
        await room.__aexit__(None, None, None)


async def test_files_are_listed_moved_and_deleted(hub: crdtsync.Hub) -> None:
    async with crdtsync.connect(hub.url, "notes") as ann, crdtsync.connect(hub.url, "notes") as bob:
        told: list[crdtsync.TreeChange] = []
        late = bob.watch()
        watching = asyncio.create_task(_into(told, bob.watch()))
        await ann.create("a/one.txt", "1")
        await ann.create("a/two.bin", b"\0\1")
        await ann.make_folder("empty")
        await ann.settled()
        await bob.settled()
        assert [(e.path, e.kind, e.size_bytes) for e in await bob.list()] == [
            ("a/one.txt", "text", None),
            ("a/two.bin", "blob", 2),
            ("empty", "dir", None),
        ]
        document = await bob.open("a/one.txt")
        await ann.move("a", "b/c")
        await until(lambda: document.path == "b/c/one.txt")
        await ann.delete("b/c/one.txt")
        await until(lambda: not document.exists)
        assert [e.path for e in await ann.list("b")] == ["b/c/two.bin"]
        document.append("it is wanted after all")
        await bob.settled()
        await ann.settled()
        assert await ann.read_text("b/c/one.txt") == "1it is wanted after all"
        await until(lambda: TreeChange("created", "b/c/one.txt") in told)
        assert TreeChange("moved", "b/c/two.bin", "a/two.bin") in told
        assert TreeChange("deleted", "b/c/one.txt") in told
        assert {(await anext(late)).path for _ in range(3)} == {"b/c/one.txt", "b/c/two.bin", "empty"}
    await watching


async def _into(told: list[crdtsync.TreeChange], watch: AsyncIterator[crdtsync.TreeChange]) -> None:
    async for change in watch:
        told.append(change)  # noqa: PERF401


async def test_any_content_goes_in_and_comes_out(hub: crdtsync.Hub) -> None:
    large = bytes(range(256)) * 20_000

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(large), 100_000):
            yield large[at : at + 100_000]

    async with crdtsync.connect(hub.url, "notes") as ann, crdtsync.connect(hub.url, "notes") as bob:
        await ann.write("large.bin", pieces())
        await ann.write("small.bin", b"\0")
        await ann.write("empty.txt", b"")
        await ann.write("text.txt", [b"one\n", b"two\n"])
        await ann.write("text.txt", "one\nand a half\ntwo\n")
        await ann.settled()
        await bob.settled()
        assert await bob.read_bytes("large.bin") == large
        assert await bob.read_bytes("small.bin") == b"\0"
        assert await bob.read_bytes("empty.txt") == b""
        assert await bob.read_text("text.txt") == "one\nand a half\ntwo\n"
        await bob.write("text.txt", b"\xff\0")
        await bob.write("small.bin", "now a text")
        await bob.settled()
        await ann.settled()
        assert await ann.read_bytes("text.txt") == b"\xff\0"
        assert await ann.read_text("small.bin") == "now a text"
        assert await ann.conflicts() == []
        with pytest.raises(errors.NotText):
            await ann.open("text.txt")


async def test_wrong_input_gets_our_errors(hub: crdtsync.Hub) -> None:
    async with crdtsync.connect(hub.url, "notes") as room:
        document = await room.open("a.txt", create=True)
        document.append("abc")
        for edits in (
            [TextEdit(0, 4, "")],
            [TextEdit(2, 1, "")],
            [TextEdit(0, 2, ""), TextEdit(1, 3, "")],
            [TextEdit(0, 0, "\ud83d")],
        ):
            with pytest.raises(errors.InvalidEdit):
                document.edit(edits)
        assert document.text == "abc"
        with pytest.raises(errors.InvalidEdit, match="surrogate"):
            await room.write("a.txt", "\ud83d")
        assert await room.read_text("a.txt") == "abc"
        with pytest.raises(errors.NoSuchFile):
            await room.open("nothing.txt")
        with pytest.raises(errors.NameTaken):
            await room.create("a.txt")
        with pytest.raises(errors.NameTaken):
            await room.open("a.txt/below.txt", create=True)
        for path in ("", "/abs", "../up", ".git/config", "a\0b"):
            with pytest.raises(errors.InvalidName):
                await room.open(path, create=True)
        with pytest.raises(errors.InvalidName):
            await room.move("a.txt", "a.txt/b")
        with pytest.raises(errors.NotText):
            document.append("x" * limits.TEXT_REMAINS_MAX_BYTES)
    for use in (room.list(), room.open("a.txt"), room.status(), room.settled()):
        with pytest.raises(errors.Closed):
            await use
    with pytest.raises(errors.Closed):
        document.append("too late")


async def test_a_hub_that_is_not_there_is_told_at_once_or_waited_for() -> None:
    with pytest.raises(errors.HubUnreachable):
        async with crdtsync.connect("ws://127.0.0.1:1", "notes", timeout_s=0.2):
            pass
    with pytest.raises(errors.InvalidName):
        crdtsync.connect("ws://127.0.0.1:1")
    with pytest.raises(errors.InvalidName):
        crdtsync.connect("gopher://x", "notes")


async def test_a_revoked_invite_ends_the_room_with_access_denied() -> None:
    async with crdtsync.Hub(closed=True) as hub:
        with pytest.raises(errors.AccessDenied):
            async with crdtsync.connect(hub.url, "notes"):
                pass
        invite = await hub.invite("notes", name="Ann")
        with pytest.raises(errors.AccessDenied):
            await _use_until_revoked(hub, invite)


async def _use_until_revoked(hub: crdtsync.Hub, invite: Invitation) -> None:
    async with crdtsync.connect(invite.link) as room:
        document = await room.open("a.txt", create=True)
        await room.settled()
        changes, events = document.changes(), room.events()
        assert await hub.revoke(invite.id) == 1
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(errors.AccessDenied):
                await room.closed()
            with pytest.raises(errors.AccessDenied):
                await anext(changes)
            with pytest.raises(errors.AccessDenied):
                while True:
                    await anext(events)
        with pytest.raises(errors.AccessDenied):
            document.append("x")
        with pytest.raises(errors.AccessDenied):
            await room.settled()


async def test_who_may_only_read_is_told_so() -> None:
    async with crdtsync.Hub(closed=True) as hub:
        reader = await hub.invite("notes", read_only=True)
        writer = await hub.invite("notes")
        async with crdtsync.connect(writer.link) as ann, crdtsync.connect(reader.link) as bob:
            await ann.create("a.txt", "to be read")
            await ann.settled()
            await bob.settled()
            document = await bob.open("a.txt")
            assert document.text == "to be read"
            for change in (bob.create("b.txt"), bob.delete("a.txt"), bob.write("a.txt", b"\0")):
                with pytest.raises(errors.ReadOnly):
                    await change
            with pytest.raises(errors.ReadOnly):
                document.append("!")
            assert document.text == "to be read"


async def test_no_task_and_no_thread_is_left() -> None:
    threads = set(threading.enumerate())
    async with crdtsync.Hub() as hub:
        async with crdtsync.connect(hub.url, "notes") as room:
            await room.write("a.bin", b"\0" * 100_000)
            assert len(await room.read_bytes("a.bin")) == 100_000
            changes = (await room.open("b.txt", create=True)).changes()
            waiting = asyncio.create_task(_first(changes))
            await room.settled()
        await asyncio.wait([waiting])
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    await until(lambda: all(t.name.startswith("asyncio_") for t in set(threading.enumerate()) - threads))


async def _first(changes: AsyncIterator[crdtsync.Change]) -> crdtsync.Change | None:
    return await anext(changes, None)


async def test_waiting_can_be_cancelled(hub: crdtsync.Hub) -> None:
    async with crdtsync.connect(hub.url, "notes") as room:
        document = await room.open("a.txt", create=True)
        changes = document.changes()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await anext(changes)
        document.append("still heard")
        assert (await anext(changes)).edits == (TextEdit(0, 0, "still heard"),)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await room.closed()
