"""Worlds of people whose programs use the library: with the room in memory, or in the process of a folder."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crdtsync.core.text.diff import Edit
from crdtsync.testing.bots import WITH_BLOBS
from crdtsync.testing.folder_program import FolderProgram
from crdtsync.testing.oracles import Broken
from crdtsync.testing.plan import Plan
from crdtsync.testing.room import Room
from crdtsync.testing.room_program import RoomProgram
from crdtsync.testing.world import World
from tests.simulation.scene import Scene

BUSY = Plan(acts=30, pause_s=0.1, groups=frozenset({"structure", "editors"}), turns=3, bots=2)
FAILING = replace(BUSY, faults=frozenset({"kill_within", "cut", "hub_kill", "offline", "store_full"}))


@pytest.mark.parametrize("plan", [BUSY, FAILING], ids=["all well", "faults"])
@pytest.mark.parametrize("first_seed", range(1, 13, 4))
def test_every_promise_holds_where_programs_use_the_library(first_seed: int, plan: Plan) -> None:
    for seed in range(first_seed, first_seed + 4):
        World(seed, plan).run()


def test_programs_of_both_kinds_do_all_that_a_library_offers() -> None:
    done: dict[type, set[str]] = {RoomProgram: set(), FolderProgram: set()}
    for seed in range(1, 11):
        told: list[str] = []
        world = World(seed, BUSY, shown=told.append)
        world.run()
        for bot in world.rooms[0].programs.bots:
            lines = [line.split() for line in told if f" {bot.name} PERSON " in line]
            done[type(bot.program)].update(words[3] for words in lines)
    assert done[RoomProgram] == WITH_BLOBS.keys()
    assert done[FolderProgram] == WITH_BLOBS.keys() - {"blob"}


def in_memory(seed: int) -> tuple[Room, RoomProgram]:
    world = World(seed, replace(BUSY, turns=0, bots=4))
    world.run()
    (room,) = world.rooms
    return room, next(bot.program for bot in room.programs.bots if isinstance(bot.program, RoomProgram))


def test_a_program_that_has_something_else_than_the_folders_is_noticed() -> None:
    room, program = in_memory(3)
    program.link.unplug()
    program.make_folder("of my own")
    with pytest.raises(Broken, match="program: "):
        room.programs.judge(room.replicas[0])


def test_a_program_that_was_not_told_of_a_change_is_noticed() -> None:
    room, program = in_memory(3)
    program.write("open.md", lambda _: "text\n")
    placed = program.at("open.md")
    assert placed is not None
    program.open_text(placed)
    told = program.told[placed.entry]
    program.edit(placed.entry, Edit(0, 0, "more "))
    program.told[placed.entry] = told
    with pytest.raises(Broken, match="told: "):
        room.programs.judge(room.replicas[0])


def test_what_a_program_deletes_is_what_the_room_has_there_and_no_save_that_nobody_has_seen() -> None:
    scene = Scene()
    scene.save(scene.a, "a.bin", b"\0one")
    scene.rest()
    program = FolderProgram(scene.a, scene.clock, lambda text: None)
    placed = program.at("a.bin")
    assert placed is not None
    for on_disk in (b"\0one", b"\0two"):
        scene.save(scene.a, "a.bin", on_disk)
        assert program.blob(placed) == b"\0one"


@pytest.mark.parametrize(
    ("seed", "plan"),
    [
        (523, "replicas=2,acts=6,pause_s=0.3,groups=editors,faults=,turns=6,disks=,typists=0,bots=2"),
        (
            8167,
            "replicas=2,acts=40,pause_s=0.05,groups=blobs+editors+links,"
            "faults=cut+hub_full+hub_kill+kill_within+races,turns=6,disks=,typists=0,bots=2",
        ),
        (
            41110254,
            "replicas=2,acts=40,pause_s=0.01,groups=blobs+stale+structure,"
            "faults=coarse+hints+power+races+trouble,turns=6,disks=,typists=0,bots=2",
        ),
        (
            53100189,  # a program deletes what a restored hub has lost: it knew what that was
            "replicas=2,acts=6,pause_s=0.05,groups=blobs+cycles+editors+links+retype+stale,"
            "faults=hub_full+hub_restore+kill+offline,turns=6,disks=,typists=0,bots=2",
        ),
        (
            53000316,  # a word typed over more than itself, in a line that a save from before lacks
            "replicas=2,acts=10,pause_s=0.3,groups=cycles+links+stale,faults=hub_kill+kill_at+offline+state_lost,"
            "turns=6,disks=case+form+both+form,typists=0,bots=1",
        ),
    ],
)
def test_worlds_with_programs_that_once_broke_a_promise_keep_it(seed: int, plan: str) -> None:
    World(seed, Plan.parse(plan)).run()
