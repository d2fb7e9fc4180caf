"""Recognises files that changed names among each other: each is still there, at the path of another.

Decides from batches of looks what is such a cycle, or a row in which each moved on to the name of the next
and the last one to a new name, or over one more; what the renames mean for the room is left to ``ingest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.doubts import Doubts
from crdtsync.core.replica.file_identity import FileIdentity
from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk, on_disk
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import EMPTY_DIGEST
from crdtsync.core.values.files import Absent, Kind, Present, Seen, TextContent
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.paths import parent


class Swapping:
    def __init__(self, state: ReplicaState, ingest: Ingest, deletions: Deletions, doubts: Doubts) -> None:
        self._state = state
        self._ingest = ingest
        self._deletions = deletions
        self._doubts = doubts
        self._identity = FileIdentity(state)
        self._held: dict[str, Seen] = {}
        """What stands at paths, until the paths that their files came from have been looked at as well."""
        self._awaiting: dict[str, set[str]] = {}
        """Of paths that are held, those where what stood there before may have come to."""

    def note(self, seen: Sequence[tuple[str, Seen]]) -> set[str]:
        """Returns the paths, of those looked at, where a file stands that was elsewhere before."""
        return self._identity.note(seen, self._held)

    def take(self, seen: Mapping[str, Seen], now: float) -> dict[str, Seen]:
        """Take in the files that changed names; returns what else there is to be believed."""
        state = self._state
        held = {path: each for path, each in self._held.items() if self._holds(path)}
        self._held = {}
        self._awaiting = {path: names for path, names in self._awaiting.items() if path in held}
        together = {**held, **seen}
        if not state.running:
            return together
        self._doubts.note(together)
        came = {path: origin for path, each in together.items() if (origin := self._came_from(path, each))}
        self._open(came, together)
        self._close(came, together)
        while there := [path for path in came if self._has_arrived(path, came, seen, together)]:
            for path in there:
                self._arrived(path, came.pop(path), together)
                del together[path]
        self._held |= {path: each for path, each in together.items() if self._may_close(path, each, came)}
        over: dict[str, Synced] = {}
        while left := [path for path in came if not self._follows(path, came, together)]:
            for path in left:
                last = self._last(path, came)
                origin = over[path] = came.pop(path)
                source = origin.path
                if self._has_left(origin, together) and self._may_turn_up(last, together):
                    # What stood there may have come to a new name; then what is new here is another file.
                    self._held |= {each: together[each] for each in (path, source) if each in together}
                    continue
                if source in self._held:
                    self._held[path] = together[path]  # that one may turn out to be part of a longer cycle
                    continue
                if source in together:
                    continue
                if path in seen:
                    state.looking.want(source)
                if self._is_awaited(source):
                    self._held[path] = together[path]
        if self._held:
            made_room = [path for path in together if path not in came and self._made_room(path, together)]
            self._held |= {path: together[path] for path in made_room if self._may_turn_up(path, together)}
        doubtful = [path for path, origin in came.items() if self._is_doubtful(path, origin)]
        while doubtful:
            for path in doubtful:
                del came[path]
            doubtful = [path for path in came if not self._follows(path, came, together)]
        for path, origin in over.items():
            if path not in self._held:
                self._put_over(origin, path, together)
        if came:
            self._swapped(came, together, now)
        state.half_seen = self._held.keys()
        return {path: each for path, each in together.items() if path not in came and path not in self._held}

    def _put_over(self, origin: Synced, path: str, seen: Mapping[str, Seen]) -> None:
        """A file took the place of another. Its own path saw no save that was made since: what that one was
        made from is told by what stands here, and its deletion covers no more."""
        there = seen[path]
        assert isinstance(there, Present)
        content = there.content
        if (
            origin.digest != content.digest
            and isinstance(content, TextContent)
            and self._is_gone(origin, seen)
        ):
            self._ingest.bases.put_off(origin, content.text)

    def _has_arrived(
        self, path: str, came: Mapping[str, Synced], seen: Mapping[str, Seen], together: Mapping[str, Seen]
    ) -> bool:
        """Whether a file stands where the room has it, and not, or no more, at its old path."""
        origin = came[path]
        placed = self._state.view.get(origin.entry)
        return (
            placed is not None
            and placed.path == path
            and origin.path not in came
            and (isinstance(seen.get(origin.path), Present) or self._is_gone(origin, together))
        )

    def _arrived(self, path: str, origin: Synced, together: Mapping[str, Seen]) -> None:
        """Whose path it was has left that, or has yet to."""
        state = self._state
        here = state.synced.at(path)
        if self._is_gone(origin, together):
            self._left_empty(origin)
        self._renamed(origin, path, state.view.get(origin.entry), together[path])
        self._stand([path], together)
        state.replan([origin.entry] if here is None else [origin.entry, here])

    def in_order(self, seen: Mapping[str, Seen]) -> list[tuple[str, Seen]]:
        """What is gone comes first, so that a rename finds where its file has come from; then what came from
        elsewhere, so that nobody takes it for replaced by what stands at its old path."""
        brought = self._state.brought
        return sorted(seen.items(), key=lambda pair: (isinstance(pair[1], Present), pair[0] not in brought))

    def _open(self, came: dict[str, Synced], seen: Mapping[str, Seen]) -> None:
        """The last of those that moved on, each to the name of the next, may have come to a new name."""
        state = self._state
        if state.session.read_only:
            return  # a reader's new name is never told to the room
        for last in sorted(state.brought & seen.keys()):
            there = seen[last]
            if state.synced.at(last) is not None or not isinstance(there, Present):
                continue
            origin = state.synced.with_inode(there.fingerprint)
            if (
                origin is None
                or not self._owns(origin)
                or not self._identity.is_of(origin, there.content, None)
            ):
                continue
            row = {last: origin}
            while (following := self._next(origin, came, row, seen)) is not None:
                row[origin.path], origin = following, following
            if len(row) > 1 or self._made_way(row[last], seen):
                came.update(row)

    def _made_way(self, moved: Synced, seen: Mapping[str, Seen]) -> bool:
        """Whether a text that is under a new name made way for another one, which came to its own."""
        there = isinstance(seen.get(moved.path), Present)
        return there and moved.kind is Kind.TEXT and self._has_left(moved, seen)

    def _next(
        self, here: Synced, came: Mapping[str, Synced], row: Mapping[str, Synced], seen: Mapping[str, Seen]
    ) -> Synced | None:
        """Whose file stands where that one of a row had stood: as the very file, or else by what it holds."""
        synced, there = self._state.synced, seen.get(here.path)
        if not isinstance(there, Present):
            return None
        known = {origin.entry for origin in row.values()}
        very = came.get(here.path) or synced.with_inode(there.fingerprint)
        if very is not None:
            is_other = self._owns(very) and very.entry not in known
            return very if is_other and self._identity.is_of(very, there.content, here, 1.0) else None
        agreed = {entry for each in seen if (entry := synced.at(each)) is not None} | self._deletions.covered
        others = [each for entry in sorted(agreed - known) if (each := synced.get(entry)) is not None]
        gone = [each for each in others if self._owns(each) and self._has_left(each, seen)]
        found = [each for each in gone if self._identity.is_of(each, there.content, here)]
        return found[0] if len(found) == 1 and there.content.digest != EMPTY_DIGEST else None

    def _follows(self, path: str, came: Mapping[str, Synced], seen: Mapping[str, Seen]) -> bool:
        """Whether one of those that came stands where the file at the path stood, or none that is known does
        and each that made room for it moved on to the name of the next, the last one to a new name, or, as
        logs of a fixed number do, over one that is gone. One alone that goes over another is a save of that;
        and of blobs nobody can tell whether what is new where the row began is another one, or a save of it.
        """
        origin = came[path]
        if origin.path in came:
            return True
        if not self._has_left(origin, seen):
            return False
        last = self._last(path, came)
        entry = self._state.synced.at(last)
        if entry is None:
            return True
        return path != last and origin.kind is Kind.TEXT and self._went_over(entry, last, seen)

    def _last(self, path: str, came: Mapping[str, Synced]) -> str:
        """Where a row ends that begins at the path."""
        onward = {each.path: at for at, each in came.items()}
        while path in onward:
            path = onward[path]
        return path

    def _went_over(self, entry: EntryId, path: str, seen: Mapping[str, Seen]) -> bool:
        """Whether the entry's file, over which another went, is nowhere, and nobody gave it another name."""
        state, placed = self._state, self._state.view.get(entry)
        told = not state.session.read_only and entry not in state.unsure and entry not in state.busy
        stands = placed is not None and placed.path == path
        return told and stands and not self._may_turn_up(path, seen)

    def _has_left(self, agreed: Synced, seen: Mapping[str, Seen]) -> bool:
        """Whether nothing stands at the path of a file, or something else than it and what was made of it."""
        there = seen.get(agreed.path)
        if isinstance(there, Present):
            return not self._identity.is_of(agreed, there.content, None)
        return self._is_gone(agreed, seen)

    def _made_room(self, path: str, seen: Mapping[str, Seen]) -> bool:
        """Whether another file than what was agreed of the path, and no edit of it, stands there."""
        agreed = self._state.agreed_at(path)
        return agreed is not None and isinstance(seen[path], Present) and self._has_left(agreed, seen)

    def _is_gone(self, agreed: Synced, seen: Mapping[str, Seen]) -> bool:
        if agreed.path in seen:
            return isinstance(seen[agreed.path], Absent)
        return self._state.looking.is_absent(agreed.path) or self._deletions.covers(agreed.entry)

    def _may_turn_up(self, path: str, seen: Mapping[str, Seen]) -> bool:
        """Whether what stood at the path before may have come to where it is not known yet what stands. Only
        what is awaited there when this is first asked counts."""
        looking, stepping = self._state.looking, self._state.stepping
        if path not in self._awaiting:
            opened = [each for each in looking.open_paths if each not in seen]
            for each in opened:
                if self._state.synced.at(each) is None and not looking.is_asked(each):
                    looking.want(each)  # a new name, which may be about to be renamed once more
            self._awaiting[path] = {*opened, *stepping} - seen.keys()
            self._state.postponed |= self._awaiting[path] & stepping.keys()  # looked at once the step is done
        return any(looking.is_asked(each) or each in stepping for each in self._awaiting[path])

    def _close(self, came: dict[str, Synced], seen: Mapping[str, Seen]) -> None:
        """One of a cycle may have been saved since: as a new file it is told by what it holds; as the very
        file it may hold hardly anything of what it did, but more than of what stood there."""
        synced = self._state.synced
        for path in [
            path for path, origin in came.items() if origin.path in seen and origin.path not in came
        ]:
            end, sources = came[path].path, {origin.path: at for at, origin in came.items()}
            first = path
            while first in sources:
                first = sources[first]
            entry, here, there = synced.at(first), synced.at(end), seen[end]
            origin = None if entry is None else synced.get(entry)
            if origin is None or here is None or origin.entry == here or not isinstance(there, Present):
                continue
            very = synced.with_inode(there.fingerprint)
            if very not in (None, origin) or {entry, here} & self._state.unsure.keys():
                continue
            stood = synced.get(here)
            if self._identity.is_of(origin, there.content, stood, 0.5 if very is None else 1.0) or (
                very is None and self._identity.is_older_of(origin, there.content, stood)
            ):
                came[end] = origin

    def _may_close(self, path: str, seen: Seen, came: Mapping[str, Synced]) -> bool:
        """Whether it is the very file of another, whatever it holds by now, at whose path a look has yet to
        tell whether they changed names; or stands where one was that was seen at such a path."""
        if path in came or not isinstance(seen, Present):
            return False
        agreed = self._state.agreed_at(path)
        if agreed is not None and any(map(self._is_awaited, self._identity.came_to(agreed))):
            return True
        here, very = self._state.synced.at(path), self._state.synced.with_inode(seen.fingerprint)
        if here is None or very is None or very.entry == here or not self._owns(very):
            return False
        return self._is_awaited(very.path)

    def _is_awaited(self, path: str) -> bool:
        """Whether a look will tell what stands at the path, if only once a step of ours there is done."""
        state = self._state
        if path in state.stepping:
            state.postponed.add(path)
        return state.looking.is_asked(path) or path in state.stepping

    def _holds(self, path: str) -> bool:
        """Whether what was seen at the path may still stand there."""
        return not self._state.looking.is_asked(path) and path not in self._state.stepping

    def _came_from(self, path: str, seen: Seen) -> Synced | None:
        """The entry whose file, as it was, stands at the path of another."""
        state = self._state
        here = state.synced.at(path)
        if here is None or not isinstance(seen, Present):
            return None
        origin = state.synced.with_inode(seen.fingerprint)
        if (
            origin is None
            or origin.entry == here
            or not self._owns(origin)
            or self._stays_apart(origin, path)
        ):
            return None
        known = self._identity.has_come(origin, path)
        return origin if known or self._identity.is_of(origin, seen.content, state.synced.get(here)) else None

    def _stays_apart(self, origin: Synced, path: str) -> bool:
        """Whether the room is never told that the file is there: who may only read renames nothing."""
        placed = self._state.view.get(origin.entry)
        return self._state.session.read_only and (placed is None or placed.path != path)

    def _owns(self, agreed: Synced) -> bool:
        """Whether no other entry was put where the file had stood."""
        return self._state.synced.at(agreed.path) == agreed.entry

    def _is_doubtful(self, path: str, origin: Synced) -> bool:
        """Whether it is in doubt what is agreed of the file that came to the path, or of what stood there."""
        unsure = self._state.unsure
        return origin.entry in unsure or self._state.synced.at(path) in unsure

    def _swapped(self, came: Mapping[str, Synced], seen: Mapping[str, Seen], now: float) -> None:
        state = self._state
        placements = {path: state.view.get(origin.entry) for path, origin in came.items()}
        if not state.may_ingest and any(
            placed is None or placed.path != path for path, placed in placements.items()
        ):
            self._stand([path for path in came if state.synced.at(path) is not None], seen)
            state.deferred.update(came)
            return
        moved = {origin.entry for origin in came.values()}
        for path, origin in came.items():
            if origin.path not in came:
                self._left_empty(origin)
            over = state.agreed_at(path)
            if over is not None and over.entry not in moved:
                state.documents.keep_agreed(over, now)
                self._ingest.delete(over)
                state.out.notice("sent", path, "deleted")
        for path, origin in came.items():
            self._renamed(origin, path, placements[path], seen[path])
            state.edited_here(path, now)
            state.out.notice("sent", origin.path, f"renamed to {path}")
        self._stand(came, seen)
        for path in came.keys() & state.reseeding:
            state.looking.want(path)  # a blob that the hub lacks has yet to be read for it
        state.replan([origin.entry for origin in came.values()])

    def _renamed(self, origin: Synced, path: str, placed: Placement | None, seen: Seen) -> None:
        """What was taken for a save at the old path may have been the file of another that came there."""
        self._ingest.bases.older.forget(origin.entry)
        self._ingest.move(origin, path, placed, self._found(seen))

    def _left_empty(self, agreed: Synced) -> None:
        """Nothing stands at the old path of a file that was found elsewhere."""
        state = self._state
        state.looking.settled(agreed.path)
        self._deletions.discard(agreed.entry)
        state.disk.discard(agreed.path)
        if folder := parent(agreed.path):
            state.looking.want(folder)

    def _stand(self, paths: Iterable[str], seen: Mapping[str, Seen]) -> None:
        for path in paths:
            self._state.looking.settled(path)
            self._state.disk.put(path, self._found(seen[path]))

    def _found(self, seen: Seen) -> OnDisk:
        assert isinstance(seen, Present)
        return on_disk(seen)
