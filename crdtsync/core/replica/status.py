"""What a person or program may ask of a replica: a snapshot without contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Protocol

from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.state import HELD, Attention, ReplicaState
from crdtsync.core.tree.rows import Row
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass

HELD_SHOWN_MAX = 1000
HELD_HERE = "changed here, and held: this folder may only read, nothing of it is sent"
WAITS_BELOW = "what others have below it waits until it can be read, or is moved"
HELD_BEFORE = "changed when this folder might still write, and held: it may only read now"


@dataclass(frozen=True, slots=True)
class Pending:
    """Numbers of paths, documents or blobs that are under way."""

    ingest: int
    send: int
    receive: int
    materialise: int

    @property
    def total(self) -> int:
        return self.ingest + self.send + self.receive + self.materialise


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    editing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A conflict copy that still exists. ``at_ms`` is the clock of who wrote it."""

    path: str
    copy_of: str | None
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Status:
    state: Literal["starting", "syncing", "settled", "offline", "halted"]
    connected: bool
    pending: Pending
    peers: tuple[Peer, ...]
    attention: tuple[Attention, ...]
    entries: int

    @property
    def settled(self) -> bool:
        return self.state == "settled"


def status_of(state: ReplicaState, deletions: Deletions, *, halted: bool) -> Status:
    """What a person may know of this state; ``settled`` means that nothing at all is pending."""
    session = state.session
    retrying = sum(1 for retry in state.retries.values() if retry.path not in state.attention)
    pending = Pending(
        ingest=state.looking.open_count + len(state.deferred) + len(state.displaced) + deletions.waiting,
        send=session.unsent + len(state.uploading),
        receive=len(state.fetching),
        materialise=len(state.steps) + len(state.waiting) + len(state.pacing) + retrying,
    )
    if halted:
        name: Literal["starting", "syncing", "settled", "offline", "halted"] = "halted"
    elif not state.running:
        name = "starting"
    elif not session.live:
        name = "offline"
    else:
        name = "syncing" if pending.total else "settled"
    return Status(
        state=name,
        connected=session.live,
        pending=pending,
        peers=tuple(Peer(presence.name, presence.editing) for _, presence in sorted(session.peers.items())),
        attention=_attention(state),
        entries=len(state.view.placements),
    )


def _attention(state: ReplicaState) -> tuple[Attention, ...]:
    """By path; of very many changes that are held the first ones, and how many there are."""
    held = dict.fromkeys(state.held, HELD_HERE)
    for document in [document for document, lacking in state.session.held.items() if lacking]:
        placed = state.view.get(EntryId(document))
        held["" if placed is None else placed.path] = HELD_BEFORE
    shown = sorted(held)[:HELD_SHOWN_MAX]
    found = {path: Attention(path, HELD, held[path]) for path in shown}
    if len(held) > len(shown):
        found[""] = Attention("", HELD, f"{len(held)} changes are held here; this folder may only read")
    for path, told in state.attention.items():
        waits = path in state.disk.unknown and state.view.holds_below(path)
        found[path] = replace(told, message=f"{told.message}; {WAITS_BELOW}") if waits else told
    return tuple(attention for _, attention in sorted(found.items()))


class Standing(Protocol):
    """Where entries stand: in a room, or on a disk."""

    @property
    def placements(self) -> Mapping[EntryId, Placement]: ...

    def get(self, entry: EntryId) -> Placement | None: ...


def conflicts_of(view: Standing, rows: Mapping[EntryId, Row]) -> list[Conflict]:
    """The conflict copies that are alive, by path."""
    found = []
    for entry, placed in view.placements.items():
        origin = rows[entry].origin
        if origin.copy_of is None:
            continue
        original = view.get(origin.copy_of)
        by = origin.by if placed.version is None else placed.version.by
        found.append(Conflict(placed.path, None if original is None else original.path, by, origin.at_ms))
    return sorted(found, key=lambda conflict: conflict.path)
