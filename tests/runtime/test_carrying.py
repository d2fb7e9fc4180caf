"""Effects of the loop and of programs that speak in between, with a store that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from crdtsync.adapters.replica_store import StoreCorrupt
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica.records import PutMeta, Record
from crdtsync.core.replica.steps import RemoveFolder
from crdtsync.errors import StoreError
from crdtsync.runtime import carrying
from crdtsync.runtime.carrying import Carrying
from tests.waiting import until


class World:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.problem: StoreError | None = None
        self.told: list[StoreError] = []
        self.ending = False
        self.writing: Future[None] | None = None
        """What is returned for what is to be stored."""
        self.says: list[ef.Effect] = []
        """What a program says while the next effect is carried out."""
        self.woken = 0
        self.carrying = Carrying(
            self._one,
            self._persist,
            self.told.append,
            lambda error: self.ending,
            lambda due: self.done.append(f"foreseen {len(due.steps)}"),
            self._wake,
        )

    def _one(self, effect: ef.Effect) -> None:
        if isinstance(effect, ef.Steps):
            self.done.append(f"steps {len(effect.steps)}")
            return
        if isinstance(effect, ef.Look):
            self.done.append(f"read {effect.paths[0].path}")
            return
        assert isinstance(effect, ef.SendText)
        said, self.says = self.says, []
        if said:
            self.carrying.at_once(said)
        self.done.append(effect.data)

    def _wake(self) -> None:
        self.woken += 1

    def _persist(self, records: Sequence[Record]) -> Future[None] | None:
        if self.problem is not None:
            raise self.problem
        for record in records:
            assert isinstance(record, PutMeta)
            self.done.append(f"stored {record.key}")
        return self.writing


def stored(name: str) -> ef.Persist:
    return ef.Persist((PutMeta(name, ""),))


def is_behind(world: World) -> bool:
    return world.carrying.behind


async def test_what_is_sent_waits_for_what_is_stored_before_it() -> None:
    world = World()
    await world.carrying.out([stored("a"), ef.SendText("a"), stored("b"), ef.SendText("b")])
    world.carrying.at_once([stored("c"), ef.SendText("c")])
    assert world.done == ["stored a", "a", "stored b", "b", "stored c", "c"]


async def test_what_is_said_while_effects_are_carried_out_comes_after_them() -> None:
    for first in (True, False):
        world = World()
        world.says = [ef.SendText("said")]
        if first:
            await world.carrying.out([ef.SendText("a"), ef.SendText("b")])
        else:
            world.carrying.at_once([ef.SendText("a"), ef.SendText("b")])
        assert world.done == ["a", "b"]
        await world.carrying.out([ef.SendText("c")])
        assert world.done == ["a", "b", "said", "c"]


async def test_steps_are_foreseen_while_what_comes_before_them_is_stored() -> None:
    one = ef.Steps((RemoveFolder(1, "a", False),))
    for at_once in (True, False):
        world = World()
        effects: list[ef.Effect] = [one, stored("a"), ef.SendText("a"), one, stored("b"), stored("c"), one]
        if at_once:
            world.carrying.at_once(effects)
        else:
            await world.carrying.out(effects)
        assert world.done == [
            *("steps 1", "foreseen 1", "stored a", "a", "steps 1"),
            *("stored b", "foreseen 1", "stored c", "steps 1"),
        ]


async def test_nothing_is_sent_that_could_not_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "PERSIST_RETRY_S", 0.001)
    monkeypatch.setattr(carrying, "OWED_MAX", 2)
    world = World()
    world.problem = StoreError("the disk is full")
    world.carrying.at_once([stored("a"), ef.SendText("a")])
    assert not world.done
    assert not is_behind(world)
    world.carrying.at_once([stored("b"), ef.SendText("b")])
    assert not world.done
    assert is_behind(world)
    task = asyncio.create_task(world.carrying.out([ef.SendText("c")]))
    await until(lambda: bool(world.told))
    world.carrying.at_once([ef.SendText("d")])
    world.problem = None
    await task
    await world.carrying.out([])
    assert world.done == ["stored a", "a", "stored b", "b", "c", "d"]
    assert len(world.told) == 1
    assert not is_behind(world)


async def test_what_comes_after_a_large_transaction_waits_while_the_loop_goes_on() -> None:
    world = World()
    world.writing = Future()
    await world.carrying.out([stored("a"), ef.SendText("a"), stored("b"), ef.SendText("b")])
    assert world.carrying.busy
    world.carrying.at_once([ef.SendText("c")])
    assert world.done == ["stored a"]
    writing, world.writing = world.writing, None
    task = asyncio.create_task(world.carrying.out([ef.SendText("d")]))
    await asyncio.sleep(0)
    assert world.done == ["stored a"]
    writing.set_result(None)
    await task
    assert world.done == ["stored a", "a", "stored b", "b", "c", "d"]
    assert not world.carrying.busy


async def test_what_a_program_says_while_others_wait_is_stored_after_them() -> None:
    world = World()
    world.writing = Future()
    await world.carrying.out([stored("a")])
    writing, world.writing = world.writing, None
    task = asyncio.create_task(world.carrying.out([stored("b"), ef.SendText("b")]))
    await asyncio.sleep(0)
    world.carrying.at_once([stored("c"), ef.SendText("c")])
    writing.set_result(None)
    await task
    assert world.done == ["stored a", "stored b", "b", "stored c", "c"]


async def test_a_program_begins_a_large_transaction_too() -> None:
    world = World()
    world.writing = Future()
    world.carrying.at_once([stored("a"), ef.SendText("a")])
    assert world.done == ["stored a"]
    world.writing.set_result(None)
    await world.carrying.done()
    assert world.done == ["stored a", "a"]


async def test_a_program_that_begins_another_large_transaction_is_waited_for_too() -> None:
    world = World()
    first: Future[None] = Future()
    second: Future[None] = Future()
    world.writing = first
    await world.carrying.out([stored("a"), ef.SendText("a")])
    task = asyncio.create_task(world.carrying.out([stored("c"), ef.SendText("c")]))
    await asyncio.sleep(0)
    first.set_result(None)
    for _ in range(100):  # its end is seen here before it is seen there
        if world.carrying.busy:
            await asyncio.sleep(0)
    assert not world.carrying.busy
    world.writing = second
    world.carrying.at_once([stored("b"), ef.SendText("b")])
    await asyncio.sleep(0)
    assert world.done == ["stored a", "a", "stored c"]
    world.writing = None
    second.set_result(None)
    await task
    assert world.done == ["stored a", "a", "stored c", "c", "stored b", "b"]


async def test_files_are_read_while_what_comes_before_is_stored() -> None:
    world = World()
    world.writing = Future()
    read = ef.Look((ef.LookAt("path", False),))
    await world.carrying.out([stored("a"), ef.SendText("a"), read])
    assert world.done == ["stored a", "read path"]
    task = asyncio.create_task(world.carrying.out([stored("b"), read]))
    await asyncio.sleep(0)
    assert world.done == ["stored a", "read path", "read path"]
    writing, world.writing = world.writing, None
    writing.set_result(None)
    await task
    assert world.done[3:] == ["a", "stored b"]


async def test_what_leads_to_nothing_to_store_does_not_hold_up_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carrying, "FOLLOWING_MAX", 4)
    world = World()
    writing = world.writing = Future()
    await world.carrying.out([stored("a"), ef.SendText("a")])
    await world.carrying.out([ef.SendText("b")])
    await world.carrying.out([ef.SendText("c")])
    too_much = asyncio.create_task(world.carrying.out([ef.SendText("d")]))
    await asyncio.sleep(0)
    assert not too_much.done()
    assert world.done == ["stored a"]
    writing.set_result(None)
    await too_much
    assert world.done == ["stored a", "a", "b", "c", "d"]


async def test_after_a_large_transaction_what_is_said_is_done_at_once_again() -> None:
    world = World()
    world.writing = Future()
    world.carrying.at_once([stored("a"), ef.SendText("a")])
    world.writing.set_result(None)
    await until(lambda: not world.carrying.busy)
    world.writing = None
    for name in ("b", "c"):
        world.carrying.at_once([stored(name), ef.SendText(name)])
        assert world.done[-1] == name


async def test_a_large_transaction_that_fails_is_tried_again_or_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "PERSIST_RETRY_S", 0.001)
    for error in (StoreError("the disk is full"), StoreCorrupt("damaged")):
        world = World()
        writing = world.writing = Future()
        await world.carrying.out([stored("a"), ef.SendText("a")])
        world.writing = None
        writing.set_exception(error)
        if isinstance(error, StoreCorrupt):
            await until(lambda world=world: world.woken == 1)  # type: ignore[misc]
            with pytest.raises(StoreCorrupt):
                await world.carrying.out([])
            assert world.done == ["stored a"]
        else:
            await world.carrying.done()
            assert world.done == ["stored a", "stored a", "a"]
            assert world.told == [error]


async def test_what_is_under_way_at_the_end_leads_to_nothing_more() -> None:
    world = World()
    world.writing = Future()
    await world.carrying.out([stored("a"), ef.SendText("a")])
    await world.carrying.close()
    world.writing.set_result(None)
    await asyncio.sleep(0)
    assert world.done == ["stored a"]


async def test_a_full_disk_is_not_waited_for_at_the_end_and_a_corrupt_store_never() -> None:
    world = World()
    world.problem, world.ending = StoreError("the disk is full"), True
    with pytest.raises(StoreError):
        await world.carrying.out([stored("a")])
    assert not world.carrying.busy
    world.problem, world.ending = StoreCorrupt("damaged"), False
    with pytest.raises(StoreCorrupt):
        await world.carrying.out([stored("a")])
