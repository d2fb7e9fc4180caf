"""The merge table, row by row."""

from __future__ import annotations

import pytest

from crdtsync.core.replica.planner import Action, Disk, Move, Room, plan, plan_executable, plan_move

AGREED_DISK = (Disk.SAME, Disk.EDITED, Disk.REPLACED, Disk.GONE)
AGREED_ROOM = (Room.SAME, Room.EDITED, Room.GONE)

ROWS = [
    # what happened, disk, room, do both hold the same now, what to do
    ("nothing", Disk.SAME, Room.SAME, True, Action.NOTHING),
    ("edit there", Disk.SAME, Room.EDITED, False, Action.MATERIALISE),
    ("edit here", Disk.EDITED, Room.SAME, False, Action.INGEST),
    ("edit here, edit there of another place", Disk.EDITED, Room.EDITED, False, Action.INGEST),
    ("the same edit here and there", Disk.EDITED, Room.EDITED, True, Action.ADOPT),
    ("edit here, delete there", Disk.EDITED, Room.GONE, False, Action.INGEST),
    ("delete here, edit there", Disk.GONE, Room.EDITED, False, Action.MATERIALISE),
    ("delete here", Disk.GONE, Room.SAME, False, Action.DELETE_THERE),
    ("delete there", Disk.SAME, Room.GONE, False, Action.DELETE_HERE),
    ("delete here and there", Disk.GONE, Room.GONE, False, Action.FORGET),
    ("create here", Disk.NEW, Room.ABSENT, False, Action.CREATE),
    ("create there", Disk.ABSENT, Room.NEW, False, Action.MATERIALISE),
    ("create here and there, same content", Disk.NEW, Room.NEW, True, Action.ADOPT),
    ("create here and there, other content", Disk.NEW, Room.NEW, False, Action.KEEP_BOTH),
    ("file becomes link here", Disk.REPLACED, Room.SAME, False, Action.REPLACE),
    ("file becomes link here, edit there", Disk.REPLACED, Room.EDITED, False, Action.REPLACE),
    ("file becomes link here, delete there", Disk.REPLACED, Room.GONE, False, Action.CREATE),
    ("never was, nowhere", Disk.ABSENT, Room.ABSENT, False, Action.FORGET),
    ("unreadable here, deleted there", Disk.UNKNOWN, Room.GONE, False, Action.HOLD),
    ("unreadable here, edited there", Disk.UNKNOWN, Room.EDITED, False, Action.HOLD),
    ("unreadable here", Disk.UNKNOWN, Room.SAME, False, Action.HOLD),
]


@pytest.mark.parametrize(
    ("disk", "room", "equal", "action"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_each_row_of_the_merge_table_has_its_action(
    disk: Disk, room: Room, equal: bool, action: Action
) -> None:
    assert plan(disk, room, equal=equal) is action


@pytest.mark.parametrize("equal", [True, False])
def test_every_combination_that_can_happen_is_decided(equal: bool) -> None:
    for disk in AGREED_DISK:
        for room in AGREED_ROOM:
            assert isinstance(plan(disk, room, equal=equal), Action)
    for room in Room:
        assert plan(Disk.UNKNOWN, room, equal=equal) is Action.HOLD


def test_nothing_is_deleted_on_either_side_while_the_other_holds_something_unseen() -> None:
    deleting = {Action.DELETE_HERE, Action.DELETE_THERE}
    for disk in Disk:
        for room in Room:
            for equal in (True, False):
                try:
                    action = plan(disk, room, equal=equal)
                except KeyError:
                    continue
                if action in deleting:
                    assert (disk, room) in {(Disk.SAME, Room.GONE), (Disk.GONE, Room.SAME)}


def test_contradicting_facts_are_refused() -> None:
    with pytest.raises(KeyError):
        plan(Disk.NEW, Room.SAME, equal=False)


@pytest.mark.parametrize(
    ("agreed", "disk", "room", "move"),
    [
        ("a", "a", "a", Move.STAY),
        ("a", "b", "a", Move.RENAME_THERE),
        ("a", "a", "b", Move.RENAME_HERE),
        ("a", "b", "b", Move.STAY),
        ("a", "b", "c", Move.RENAME_HERE),
        ("d/a", "D/b", "D/a", Move.RENAME_THERE),
        ("d/a", "e/b", "d/b", Move.RENAME_THERE),
        ("d/a", "d/b", "D/a", Move.RENAME_HERE),
        ("d/a", "D/b", "D/c", Move.RENAME_HERE),
        ("d/a", "D/b/a", "D/a", Move.RENAME_HERE),
    ],
)
def test_a_name_changed_on_both_sides_is_the_rooms_unless_the_disk_has_that_change(
    agreed: str, disk: str, room: str, move: Move
) -> None:
    assert plan_move(agreed, disk, room) is move


@pytest.mark.parametrize("agreed", [True, False])
@pytest.mark.parametrize("disk", [True, False])
@pytest.mark.parametrize("room", [True, False])
def test_the_executable_bit_follows_whoever_changed_it(agreed: bool, disk: bool, room: bool) -> None:
    merged = plan_executable(agreed, disk, room)
    assert merged == (disk if disk != agreed else room)
