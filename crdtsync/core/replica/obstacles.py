"""What keeps a program from a path, its content here, or an edit: reasons for a person, and bounds."""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.replica.state import HELD, ReplicaState
from crdtsync.core.replica.status import HELD_HERE
from crdtsync.core.text.diff import Edit
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import printable
from crdtsync.core.values.paths import is_below, parent, parents, path_problem
from crdtsync.core.values.reserved import reserved_path

IN_THE_WAY_RACES = 3
"""After so many steps in a row that found something else at a path, what stands there is in the way."""


def obstacle(state: ReplicaState, path: str) -> str | None:
    """Why nothing at the path can be opened as a text, as far as its name and what stands there tell."""
    shown = printable(path)
    if (problem := path_problem(path)) is not None:
        return f"{shown!r} is no path of the folder: {problem}"
    if reserved_path(path) or state.ignored(path):
        return f"{shown} is ignored: it is never shared"
    if (reason := state.disk.reason_unknown(path)) is not None:
        where = _unknown_at(state, path)
        return f"{shown} is not shared: {'' if where == path else printable(where) + ': '}{reason}"
    if state.view.holds_below(path):
        return f"{shown} is a folder"
    for folder in parents(path):
        entry, seen = state.view.at(folder), state.disk.get(folder)
        placed = None if entry is None else state.view.get(entry)
        no_folder = placed is not None and placed.kind is not Kind.DIR
        if no_folder or folder in state.disk.unknown or (seen is not None and seen.kind is not Kind.DIR):
            return f"{printable(folder)} is no folder: nothing can be in it"
    return None


def is_leaving(state: ReplicaState, path: str) -> bool:
    """Whether the disk has yet to part with what stands at the path, below it, or as a file above it, since
    the room has it elsewhere, or no more; or a step on that is under way. False where that may take long, as
    a person was told, or will be.
    """
    if any(each == path or is_below(each, path) or is_below(path, each) for each in state.stepping):
        return True
    return any(_leaves(state, each) for each in (path, *parents(path), *state.synced.below(path)))


def _leaves(state: ReplicaState, path: str) -> bool:
    agreed = state.agreed_at(path)
    if agreed is None or path in state.attention or state.ignored(path):
        return False
    if state.disk.reason_unknown(path) is not None:
        return False
    retry, placed = state.retries.get(agreed.entry), state.view.get(agreed.entry)
    if retry is not None and not retry.races:
        return False
    return placed is None or placed.path != path


def kept_off(state: ReplicaState, path: str) -> str | None:
    """Why the disk does not have the file that the room has at the path, if that may last. None: it is on its
    way, or waits for the hub only.
    """
    shown = printable(path)
    if state.ignored(path):
        return f"{shown} is ignored in this folder: what others have there is not written here"
    if (reason := state.disk.reason_unknown(path)) is not None:
        where = printable(_unknown_at(state, path)) or "the folder"
        return f"{shown} cannot be had on this disk. {where}: {reason}. It can once that is changed or moved"
    entry = state.view.at(path)
    if entry is None or entry in state.busy or any(entry in each for each in state.fetching.values()):
        return None
    retry, agreed = state.retries.get(entry), state.synced.get(entry)
    told = state.attention.get(path) or (None if retry is None else state.attention.get(retry.path))
    if told is not None:
        named = told.message.startswith(printable(told.path))
        return told.message if named else f"{shown} is not on this disk: {told.message}"
    if retry is not None and retry.races >= IN_THE_WAY_RACES:
        return (
            f"{shown} cannot be written here: what stands at {printable(retry.path)} is in the way, move it"
        )
    if agreed is None or state.disk.get(agreed.path) is not None:
        return None
    if agreed.path in state.held:
        return f"{shown} was deleted on this disk: {HELD_HERE}"
    if (told := state.attention.get("")) is not None and told.kind == HELD:
        return f"{shown} was deleted on this disk, and that is held: {told.message}"
    return (
        None
        if state.session.live
        else f"{shown} was deleted on this disk: the hub hears of it once it is back"
    )


def _unknown_at(state: ReplicaState, path: str) -> str:
    """The path, or one above it, of which nothing can be said; "" is the folder itself."""
    while path and path not in state.disk.unknown:
        path = parent(path)
    return path


def fits(edits: Sequence[Edit], length: int) -> bool:
    """Whether the edits are ascending, apart, and within a text of so many characters."""
    at = 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= length:
            return False
        at = edit.end
    return True


def as_in(text: str, shown: str) -> str:
    """What an editor shows, with the line ends of the text: some editors keep ``\\r\\n`` to themselves."""
    return shown.replace("\n", "\r\n") if "\r\n" in text and "\r" not in shown else shown
