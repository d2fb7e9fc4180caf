"""Two rooms on one hub, in worlds: each keeps every promise, and neither knows anything of the other."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import pytest

from crdtsync.core.hub.doors.desk import Desk
from crdtsync.core.hub.doors.front import Doors
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.room import Room
from crdtsync.core.values.digests import digest_of
from crdtsync.testing.oracles import Broken
from crdtsync.testing.plan import Plan
from crdtsync.testing.tokens import tokens
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.world import World


def two_rooms(*faults: str) -> Plan:
    """With typists of both at one connection, and programs in both."""
    groups = frozenset({"blobs", "structure"})
    return Plan(
        acts=30,
        pause_s=0.1,
        groups=groups,
        faults=frozenset(faults),
        turns=2,
        typists=1,
        bots=2,
        hocuspocus=2,
        neighbours=2,
    )


@pytest.mark.parametrize("fault", ["hub_kill", "hub_full", "hub_restore", "slow", "clock"])
def test_two_rooms_keep_every_promise_whatever_becomes_of_their_hub(fault: str) -> None:
    for seed in (1, 2):
        World(seed, two_rooms(fault)).run()


def test_a_line_of_one_room_in_the_other_is_noticed() -> None:
    world = World(1, two_rooms())
    world.run()
    one, other = world.rooms
    one.check_apart(other)
    leaked = next(iter(other.ledger.born))
    disk = one.replicas[0].disk
    disk.put("leak", disk.new_inode(NodeKind.FILE, leaked))
    other.check_apart(one)
    with pytest.raises(Broken, match=r"apart: .* of next is in a file of room"):
        one.check_apart(other)


def test_what_a_program_brought_to_its_room_is_due_and_a_blob_of_the_other_room_keeps_nothing() -> None:
    world = World(1, two_rooms())
    world.run()
    one, other = world.rooms
    data = other.ledger.new_token().encode()
    (token,) = tokens(data)
    other.ledger.saved(other.programs.bots[0].name, b"", data)
    world.hub.blobs[other.name, digest_of(data)] = data
    other.unkept.something_went()
    assert token not in other.ledger.excused
    world.hub.blobs[one.name, digest_of(data)] = world.hub.blobs.pop((other.name, digest_of(data)))
    other.unkept.something_went()
    assert token in other.ledger.excused


def test_a_hub_that_lets_members_of_one_room_into_another_is_noticed() -> None:
    find_room = HubEngine._find_room

    def any_room(self: HubEngine, name: str) -> Room | None:
        return next(iter(self._rooms.values()), None) or find_room(self, name)

    plan = replace(two_rooms(), typists=0, bots=0, hocuspocus=0)
    with patch.object(HubEngine, "_find_room", any_room), pytest.raises(Broken, match="apart"):
        World(1, plan).run()


def test_a_hub_that_shows_pages_of_one_room_another_is_noticed() -> None:
    desk_of = Doors._desk

    def any_desk(self: Doors, name: str) -> Desk | str:
        return next(iter(self._desks.values()), None) or desk_of(self, name)

    with patch.object(Doors, "_desk", any_desk), pytest.raises(Broken):
        World(1, two_rooms()).run()
