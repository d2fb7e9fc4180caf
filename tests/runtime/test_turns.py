"""How a replica's engine gets its events: at once, by turns, and when something goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager

import pytest

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.records import PutMeta, Record
from crdtsync.errors import StoreError
from crdtsync.runtime import carrying, turns
from crdtsync.runtime.carrying import Carrying
from crdtsync.runtime.turns import Turns
from tests.waiting import until


class World:
    """``done`` tells in order what the engine was given, and what was made of its effects."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.handled: list[str] = []
        self.deadline_s: float | None = None
        self.problem: StoreError | None = None
        self.writing: Future[None] | None = None
        """What is returned for what is to be stored."""
        self.failures: list[BaseException] = []
        self.stopping = asyncio.Event()
        self.carrying = Carrying(
            self._one, self._persist, lambda error: None, lambda error: False, lambda due: None, self._wake
        )
        self.turns = Turns(
            self._handle,
            lambda: self.deadline_s,
            self.carrying,
            lambda event: None,
            lambda: self.done.append("changed"),
            self.failures.append,
        )

    def _handle(self, event: ev.Event) -> list[ef.Effect]:
        self.handled.append(event.data if isinstance(event, ev.TextFrame) else "")
        match event:
            case ev.TextFrame("bad"):
                raise ValueError("bad")
            case ev.TextFrame("leads on"):
                self.turns.events.put(ev.TextFrame("led to"))
                return [ef.SendText("leads on")]
            case ev.TextFrame("stored"):
                return [ef.Persist((PutMeta("a", ""),)), ef.SendText("sent")]
            case ev.TextFrame(text):
                return [ef.SendText(text)]
            case ev.Tick():
                self.deadline_s = None
                self.done.append("tick")
            case _:
                raise AssertionError(event)
        return []

    def _wake(self) -> None:
        self.turns.events.wake()

    def _one(self, effect: ef.Effect) -> None:
        assert isinstance(effect, ef.SendText)
        self.done.append(effect.data)

    def _persist(self, records: Sequence[Record]) -> Future[None] | None:
        if self.problem is not None:
            raise self.problem
        self.done.append("stored")
        return self.writing

    def comes(self, *texts: str) -> None:
        for text in texts:
            self.turns.events.put(ev.TextFrame(text))
        self.turns.arrived()

    @property
    def said(self) -> list[str]:
        return [each for each in self.done if each != "changed"]


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    task = asyncio.create_task(world.turns.run(world.stopping))
    await asyncio.sleep(0)
    yield world
    world.stopping.set()
    world.turns.events.put(ev.Tick())
    await task


async def test_what_comes_alone_is_handled_at_once_with_all_that_it_leads_to() -> None:
    async with running() as world:
        world.comes("leads on")
        assert world.done == ["leads on", "led to"]
        await until(lambda: "changed" in world.done)
        world.comes("stored")
        assert world.said[2:] == ["stored", "sent"]


async def test_what_follows_in_the_same_breath_waits_for_its_turn_and_stays_in_order() -> None:
    async with running() as world:
        world.comes("a")
        world.comes("b")
        world.comes("c")
        assert world.said == ["a"]
        await until(lambda: len(world.said) == 3)
        assert world.said == ["a", "b", "c"]


async def test_what_comes_with_a_large_transaction_waits_for_its_turn_and_is_not_owed() -> None:
    async with running() as world:
        writing = world.writing = Future()
        world.comes("stored", "next")
        assert world.done == ["stored"]
        assert not world.carrying.owes
        writing.set_result(None)
        await until(lambda: len(world.said) == 3)
        assert world.said == ["stored", "sent", "next"]


async def test_what_a_program_said_beside_a_transaction_is_stored_before_the_next_event_is_handled() -> None:
    async with running() as world:
        writing = world.writing = Future()
        world.comes("stored")
        world.carrying.at_once([ef.Persist((PutMeta("said", ""),))])
        world.comes("leads on")
        await asyncio.sleep(0)
        assert "leads on" not in world.handled
        world.writing = None
        writing.set_result(None)
        await until(lambda: "leads on" in world.handled)
        assert world.said[:3] == ["stored", "sent", "stored"]


async def test_much_at_once_is_a_batch() -> None:
    async with running() as world:
        many = [str(number) for number in range(turns.AT_ONCE_MAX + 1)]
        world.comes(*many)
        assert world.said == []
        await until(lambda: len(world.said) == len(many))
        assert world.said == many


async def test_what_comes_from_another_thread_is_handled_too() -> None:
    async with running() as world:
        await asyncio.to_thread(world.turns.events.put, ev.TextFrame("far"))
        await until(lambda: world.said == ["far"])


async def test_nothing_is_handled_before_what_could_not_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "PERSIST_RETRY_S", 0.001)
    async with running() as world:
        world.problem = StoreError("the disk is full")
        world.comes("stored")
        world.comes("next")
        assert world.carrying.owes
        await until(lambda: world.carrying.busy)
        world.comes("last")
        assert world.said == []
        world.problem = None
        await until(lambda: len(world.said) == 4)
        assert world.said == ["stored", "sent", "next", "last"]


async def test_a_deadline_is_a_tick_and_a_wake_alone_is_none() -> None:
    async with running() as world:
        world.turns.events.wake()
        await until(lambda: "changed" in world.done)
        assert world.said == []
        world.deadline_s = 0
        world.comes("a")
        await until(lambda: world.said == ["a", "tick"])


async def test_an_event_that_breaks_the_engine_is_told_of() -> None:
    async with running() as world:
        world.comes("bad")
        assert [str(failure) for failure in world.failures] == ["bad"]
