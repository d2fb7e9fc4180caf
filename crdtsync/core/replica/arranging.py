"""Programs move and delete the room's files, and make folders: as someone else in the room would.

The disk follows as it does for everyone's changes: what goes is in the trash, and a save that was not seen
yet survives. Texts are edited through ``live``; bytes are written on the disk.
"""

from __future__ import annotations

from typing import assert_never

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.tree.rows import Create, DropVersions, Operation, Origin, SetGone, SetPath
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import new_entry_id, printable
from crdtsync.core.values.paths import check_path, is_below, parents
from crdtsync.errors import CrdtsyncError, FileError, InvalidName, NameTaken, NoSuchFile, ReadOnly


def arrange(state: ReplicaState, event: ev.Arrange, now: float) -> None:
    """Answered by Arranged."""
    try:
        operations = _operations(state, event, now)
    except CrdtsyncError as error:
        state.out.effect(ef.Arranged(event.holder, error))
        return
    state.operations += operations
    state.out.effect(ef.Arranged(event.holder, None))


def _operations(state: ReplicaState, event: ev.Arrange, now: float) -> list[Operation]:
    if not state.running or state.catching_up:
        raise FileError("The room is not here yet: wait until it has settled")
    if state.session.read_only:
        raise ReadOnly("This folder may only read the room: nothing of it is sent")
    match event:
        case ev.MoveFiles(_, path, to):
            return _move(state, path, to)
        case ev.DeleteFiles(_, path):
            return [_deletion(state, placed) for placed in _all_at(state, path)]
        case ev.MakeFolder(_, path):
            _check_free(state, path)
            origin = Origin(state.name, int(now * 1000))
            made = Create(new_entry_id(state.rng), Kind.DIR, state.view.room_path(path), False, origin)
            return [*_unmade(state, path), made]
        case _:
            assert_never(event)


def _move(state: ReplicaState, path: str, to: str) -> list[Operation]:
    check_path(to)
    moving = _all_at(state, path)
    if path == to:
        return []
    if is_below(to, path):
        raise InvalidName(f"{printable(path)} cannot be moved into itself")
    _check_free(state, to)
    moved = [
        SetPath(placed.entry, state.view.room_path(to + placed.path[len(path) :], placed.entry))
        for placed in moving
    ]
    return [*_unmade(state, to), *moved]


def _all_at(state: ReplicaState, path: str) -> list[Placement]:
    """The entry there, or those below, in a fixed order."""
    check_path(path)
    placements = state.view.placements.values()
    found = [each for each in placements if each.path == path or is_below(each.path, path)]
    if not found:
        raise NoSuchFile(f"There is no {printable(path)} in the room")
    return sorted(found, key=lambda placed: placed.path)


def _check_free(state: ReplicaState, path: str) -> None:
    check_path(path)
    taken = state.view.at(path) is not None or state.view.holds_below(path)
    if taken or state.disk.get(path) is not None:
        raise NameTaken(f"{printable(path)} is there already")
    if state.ignored(path):
        raise InvalidName(f"{printable(path)} is ignored in this folder: it is never shared")
    for folder in parents(path):
        above = state.view.at(folder)
        placed = None if above is None else state.view.get(above)
        if placed is not None and placed.kind is not Kind.DIR:
            raise NameTaken(f"{printable(folder)} is a file, so nothing can stand below it")


def _unmade(state: ReplicaState, path: str) -> list[Operation]:
    """Folders are entries only as long as they are empty."""
    above = [state.view.at(folder) for folder in parents(path)]
    placed = [state.view.get(entry) for entry in above if entry is not None]
    return [SetGone(each.entry, b"") for each in placed if each is not None and each.kind is Kind.DIR]


def _deletion(state: ReplicaState, placed: Placement) -> Operation:
    match placed.kind:
        case Kind.TEXT:
            return SetGone(placed.entry, state.documents.state_vector(placed.entry))
        case Kind.DIR:
            return SetGone(placed.entry, b"")
        case Kind.BLOB | Kind.LINK:
            return DropVersions(placed.entry, tuple(state.tree.rows[placed.entry].versions))
        case _:
            assert_never(placed.kind)
