"""Tells whether disk, agreement and room say the same of an entry: it needs no plan then, or no reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.effects import Look, LookAt
from crdtsync.core.replica.records import Head, Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import EntryId


def begin_planning(state: ReplicaState) -> None:
    """From here on plans are carried out, beginning with whatever needs one: hardly any of a large folder."""
    state.running = True
    placements = state.view.placements
    state.replan(entry for entry in _not_at_a_glance(state) if not in_step(state, entry))
    state.replan(state.synced.by_entry.keys() - placements.keys())
    state.replan(state.unsure)  # of some neither the room nor an agreement that is sure knows any more
    agreed_at = state.synced.by_path
    for path in [path for path in state.disk.paths() if path not in agreed_at]:
        state.replan_path(path)


def _not_at_a_glance(state: ReplicaState) -> list[EntryId]:
    """The entries of which more has to be asked before it is known that a plan would find nothing to do.

    Goes through everything, and so asks the indices themselves; what it leaves out is ``in_step``.
    """
    placements = state.view.placements
    if state.unsure or state.documents.changing or state.synced.disputed:
        return list(placements)
    agreed_of = state.synced.by_entry.get
    head_of = cast("Callable[[str], Head | None]", state.documents.heads.get)
    on_disk, text = state.disk.as_agreed, Kind.TEXT
    found: list[EntryId] = []
    for entry, path, kind, executable, _ in placements.values():
        agreed, head = agreed_of(entry), head_of(entry)
        if (
            agreed is None
            or head is None
            or kind is not text
            or agreed.kind is not text
            or on_disk(path) is not agreed
            or agreed.digest != head.digest
            or agreed.state_vector != head.state_vector
            or agreed.executable != executable
            or agreed.fingerprint is None
            or agreed.fingerprint.executable != executable
        ):
            found.append(entry)
    return found


def take_in_step(
    state: ReplicaState, deletions: Deletions, files: Mapping[str, Fingerprint]
) -> Mapping[str, Fingerprint]:
    """Take in the files of a scan that stand just as they were agreed on, and of which nothing else is known:
    nearly all of a large folder. Returns those that have to be thought about."""
    if deletions.any or state.looking.any_settling or state.disk.unknown or state.unsure:
        return files
    entry_at, agreed_of = state.synced.by_path.get, state.synced.by_entry.get
    on_disk, known = state.disk.as_agreed, bool(state.disk)
    others: dict[str, Fingerprint] = {}
    stand: dict[str, Synced] = {}
    for path, fingerprint in files.items():
        entry = entry_at(path)
        agreed = None if entry is None else agreed_of(entry)
        if (
            agreed is None
            or agreed.fingerprint != fingerprint
            or fingerprint.is_coarse
            or (known and on_disk(path) is not agreed)
        ):
            others[path] = fingerprint
        else:
            stand[agreed.path] = agreed
    if not known:
        state.disk.begin(stand)
    if state.rebooted:  # whoever empties one of them from now on means it
        state.rebooted.difference_update(agreed.entry for agreed in stand.values())
    return others


def in_step(state: ReplicaState, entry: EntryId) -> bool:
    """Whether a plan of the entry would find nothing to do."""
    placed, agreed = state.view.get(entry), state.synced.get(entry)
    if placed is None or agreed is None or entry in state.unsure:
        return False
    path = agreed.path
    seen = state.disk.get(path)
    return (
        seen is not None
        and (seen.kind, seen.digest, seen.fingerprint) == (agreed.kind, agreed.digest, agreed.fingerprint)
        and (placed.kind, placed.path, placed.executable) == (agreed.kind, path, agreed.executable)
        and agreed.digest == state.room_digest(entry)
        and state.synced.at(path) == entry
        and (agreed.kind in (Kind.DIR, Kind.LINK) or seen.executable == agreed.executable)
        and (agreed.kind is not Kind.TEXT or agreed.state_vector == state.documents.state_vector(entry))
    )


def replan_where_it_stands(state: ReplicaState, path: str) -> None:
    """A look found there what was known: whoever waited to hear that goes on.

    While the look was under way, the room may have moved the file, or another to its path.
    """
    entry = state.synced.at(path)
    if entry is None or not in_step(state, entry):
        state.replan_path(path)
        state.replan(state.view.claimants(path))


def out_of_step(state: ReplicaState) -> list[EntryId]:
    """Entries of which disk and room have not agreed on what the room says, or the disk holds, now.

    Whoever has looked at all of the folder plans them once more: no change that was missed is waited for.
    """
    found = []
    for entry, placed in state.view.placements.items():
        agreed = state.synced.get(entry)
        if agreed is None or agreed.path != placed.path or agreed.digest != state.room_digest(entry):
            found.append(entry)
    for agreed in state.synced:
        seen = state.disk.get(agreed.path)
        if state.view.get(agreed.entry) is None or (seen is not None and seen.digest != agreed.digest):
            found.append(agreed.entry)
    return found


def looks(state: ReplicaState) -> list[Look]:
    """What is to be looked at now. A file of ours is not read for the hint of its own coming."""
    return [
        Look(
            tuple(
                LookAt(path, state.is_text(path), _unless(state, path), state.synced.other_device(path))
                for path in batch
            )
        )
        for batch in state.looking.take_looks(state.stepping)
    ]


def _unless(state: ReplicaState, path: str) -> Fingerprint | None:
    known = state.own_files.get(path)
    return known if known is not None and only_hinted(state, path, known) else None


def only_hinted(state: ReplicaState, path: str, known: Fingerprint) -> bool:
    """Whether only a hint or a scan asks for a look at the path, which tells nothing if it is ``known``."""
    seen, entry = state.disk.get(path), state.synced.at(path)
    return (
        state.looking.is_hinted(path)
        and (seen is not None and seen.fingerprint == known)
        and (entry is not None and entry not in state.retries and in_step(state, entry))
        and path not in state.deferred
        and path not in state.reseeding
    )
