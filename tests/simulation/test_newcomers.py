"""Those who join late with files of their own, in worlds: what they chose is done, and is asked for."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from crdtsync.core.replica.events import Differing
from crdtsync.testing.newcomer import Newcomer
from crdtsync.testing.oracles import Broken, Ledger, Picture, check_kept, picture
from crdtsync.testing.plan import Plan
from crdtsync.testing.world import World


@pytest.mark.parametrize("first_seed", range(94001, 94061, 10))
def test_whatever_was_chosen_every_promise_holds(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 10):
        World(seed, Plan.with_newcomer(seed)).run()


def joined(choice: Differing) -> tuple[World, Newcomer, Picture]:
    """A world at rest in which someone has joined, and what all had before."""
    groups = frozenset({"blobs", "links", "structure"})
    world = World(1, Plan(acts=20, pause_s=0.1, groups=groups, turns=0))
    world.run()
    room = world.rooms[0]
    before = picture(room.replicas[0])
    newcomer = room.arrive(choice, in_ways=False)
    world.settle()
    newcomer.check_joined(before)
    return world, newcomer, before


def differing(newcomer: Newcomer, before: Picture) -> list[str]:
    return [path for path, each in newcomer.brought.items() if before.get(path, each)[:2] != each[:2]]


@pytest.mark.parametrize("choice", [Differing.HUB, Differing.MINE, Differing.BOTH])
def test_a_file_that_is_not_the_chosen_one_is_noticed(choice: Differing) -> None:
    world, newcomer, before = joined(choice)
    disk = world.rooms[0].replicas[-1].disk
    path = differing(newcomer, before)[0]
    kind, data, executable = (before if choice is Differing.MINE else newcomer.brought)[path]
    disk.put(path, disk.new_inode(kind, data, executable))
    with pytest.raises(Broken, match="chosen"):
        newcomer.check_joined(before)


def test_one_of_both_that_is_missing_is_noticed() -> None:
    world, newcomer, before = joined(Differing.BOTH)
    disk = world.rooms[0].replicas[-1].disk
    copy = next(path for path, _ in disk.files() if "(conflict of" in path)
    disk.take(copy)
    with pytest.raises(Broken, match="the copies are"):
        newcomer.check_joined(before)


def test_what_was_given_up_and_is_not_in_the_trash_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    world, newcomer, before = joined(Differing.HUB)
    assert differing(newcomer, before)
    monkeypatch.setattr(world.rooms[0].replicas[-1].machine, "trashed", list)
    with pytest.raises(Broken, match="not in the trash"):
        newcomer.check_joined(before)


@pytest.mark.parametrize(
    ("who", "trashed", "fault"),
    [("b", True, None), ("b", False, "lost"), ("a", True, "trashed")],
)
def test_only_what_one_gave_up_oneself_may_be_in_the_trash_alone(
    who: str, trashed: bool, fault: str | None
) -> None:
    ledger = Ledger()
    data = f"{ledger.new_token()}\n".encode()
    ledger.saved(who, b"", data)
    ledger.gave_up("b", data)
    with pytest.raises(Broken, match=fault) if fault else nullcontext():
        check_kept(ledger, {}, [data] if trashed else [])
