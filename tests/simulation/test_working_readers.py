"""People who work where a replica may only read: nothing of it is sent or lost, and the room arrives."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.testing.apart import Apart
from crdtsync.testing.editors import Editor
from crdtsync.testing.oracles import Broken, Ledger, picture
from crdtsync.testing.plan import TAKES_FROM_READERS, Plan
from crdtsync.testing.tokens import tokens
from crdtsync.testing.world import World
from tests.simulation.scene import Scene


@pytest.mark.parametrize("first_seed", range(95001, 95061, 10))
def test_what_is_done_where_one_may_only_read_stays_there_until_one_may_write(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 10):
        World(seed, Plan.with_working_reader(seed)).run()


class Working(Scene):
    """``a`` has written ``theirs``, and ``b``, who may only read, ``mine`` into another file."""

    def __init__(self) -> None:
        super().__init__()
        self.b.kill()
        self.b.read_only = True
        self.b.start()
        self.shared = Ledger()
        self.apart = Apart(self.b, self._person(), self.shared, self.shared.aside())
        self.theirs, self.mine = (f"{each.new_token()}\n" for each in (self.shared, self.apart.own))
        self.shared.saved("a", b"", self.theirs.encode())
        self.save(self.a, "theirs.md", self.theirs)
        self.apart.own.saved("b", b"", self.mine.encode())
        self.save(self.b, "mine.md", self.mine)
        self.rest_apart()
        self.check()

    def _person(self) -> Editor:
        b = self.b
        return Editor(
            "b", self.clock, Random(1), self.trace, b.disk, Ledger(), {}, b.machine.holds, b.has_read
        )

    def check(self) -> None:
        elsewhere = (("a file of a", data) for data in self.a.machine.contents())
        self.apart.check(picture(self.a), elsewhere)


def test_what_was_sent_though_it_might_not_be_is_noticed() -> None:
    scene = Working()
    scene.save(scene.a, "sent.md", scene.mine)
    scene.rest_apart()
    with pytest.raises(Broken, match=r"sent: .* is in a file of a"):
        scene.check()


@pytest.mark.parametrize(("taken", "breaks"), [("mine", "lost"), ("theirs", "follows")])
def test_what_is_gone_from_a_readers_folder_and_was_not_taken_out_by_it_is_noticed(
    taken: str, breaks: str
) -> None:
    """What the reader wrote, and what the room has."""
    scene = Working()
    scene.b.disk.take(f"{taken}.md")
    with pytest.raises(Broken, match=breaks):
        scene.check()
    scene.apart.own.deleted("b", getattr(scene, taken).encode())
    scene.check()


def test_what_was_taken_out_where_one_may_only_read_is_due_to_all_others_until_one_may_write() -> None:
    scene = Working()
    scene.apart.own.deleted("b", scene.theirs.encode())
    theirs, mine = tokens(scene.theirs.encode()), tokens(scene.mine.encode())
    assert not theirs & scene.shared.excused.keys() and not mine & scene.shared.born.keys()
    scene.apart.change()
    assert theirs <= scene.shared.excused.keys() and mine <= scene.shared.born.keys()
    scene.apart.change()
    assert not scene.apart.own.born
    assert not {scene.apart.own.new_token().encode()} & mine


def test_no_drawn_world_has_who_works_where_one_may_only_read_or_joins_late() -> None:
    plans = [Plan.of_seed(seed) for seed in range(300)]
    assert not any(plan.working or plan.newcomer or "rights" in plan.faults for plan in plans)


def test_worlds_that_are_asked_for_are_read_back_as_they_were_written() -> None:
    for make in (Plan.with_newcomer, Plan.with_working_reader):
        plans = [make(seed) for seed in range(100)]
        assert [Plan.parse(str(plan)) for plan in plans] == plans
        assert not any("rights" in plan.faults and plan.faults & TAKES_FROM_READERS for plan in plans)
