"""A replica that may only read, in worlds: it ends with what all others have, whatever fails."""

from __future__ import annotations

import pytest

from crdtsync.testing.oracles import Broken, check_equal
from crdtsync.testing.plan import TAKES_FROM_READERS, Plan
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.world import World


def with_reader(*faults: str) -> World:
    groups = frozenset({"blobs", "structure", "editors", "links"})
    return World(
        1, Plan(acts=30, pause_s=0.1, groups=groups, faults=frozenset(faults), turns=3, typists=1, readers=1)
    )


@pytest.mark.parametrize(
    "fault", ["kill", "kill_at", "hub_kill", "hub_full", "store_full", "trouble", "slow"]
)
def test_a_reader_ends_with_what_all_have(fault: str) -> None:
    world = with_reader(fault)
    world.run()
    *writers, reader = world.rooms[0].replicas
    assert reader.read_only and not any(writer.read_only for writer in writers)
    assert reader.performed


def test_what_a_reader_lacks_is_noticed() -> None:
    world = with_reader()
    world.run()
    replicas = world.rooms[0].replicas
    check_equal(replicas)
    disk = replicas[-1].disk
    disk.put("more", disk.new_inode(NodeKind.FILE, b"of the reader\n"))
    with pytest.raises(Broken, match="equal"):
        check_equal(replicas)


def test_no_drawn_world_has_a_reader_who_is_left_with_something_of_its_own() -> None:
    plans = [Plan.of_seed(seed) for seed in range(500)]
    with_readers = [plan for plan in plans if plan.readers]
    assert 10 < len(with_readers) < 60
    assert not any(plan.faults & TAKES_FROM_READERS or "ignores" in plan.groups for plan in with_readers)
