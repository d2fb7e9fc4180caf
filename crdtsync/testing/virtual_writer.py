"""Carries out a replica's disk steps on a virtual disk, with the outcomes of the real writer.

Each change is: look, a chance for someone to save, change, inspect what came out. What was displaced is held
for a while, survives a kill, and is reported when someone goes on writing to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from crdtsync.core.replica.steps import (
    Cause,
    Displaced,
    Done,
    Expected,
    Failed,
    KeepCopy,
    MakeFolder,
    MoveFile,
    Outcome,
    Raced,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    Step,
    SwapFiles,
    WriteFile,
)
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, encode_text
from crdtsync.core.values.files import BlobContent, LinkContent, Present, TextContent
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.paths import parent
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_disk import Inode, NodeKind, VirtualDisk, content_of


@dataclass(slots=True, eq=False)
class Held:
    """A displaced file. ``base``: the content that the engine has taken in; ``known``: what it was told."""

    number: int
    entry: EntryId
    path: str
    node: Inode
    base: Digest
    known: Digest
    since_s: float
    is_text: bool
    reports: dict[int, tuple[Digest, Present]] = field(default_factory=dict)
    reported: int = 0


class VirtualWriter:
    """``race`` is called between a look and the change that follows it, with the path that is at stake."""

    def __init__(self, clock: Clock, disk: VirtualDisk, race: Callable[[str], None]) -> None:
        self._clock = clock
        self._disk = disk
        self._race = race
        self._number = 0
        self.held: dict[int, Held] = {}
        self.staged_blobs: dict[Digest, bytes] = {}
        self.trash: list[tuple[str, bytes, str]] = []
        """Path, content and reason of everything that went to the trash."""
        self.performed = 0
        self._still_needed = False

    def perform(self, step: Step, still_needed: bool = False) -> Outcome:
        """Carry out one step. ``still_needed``: a later step of its batch has the same content."""
        self.performed += 1
        self._still_needed = still_needed
        match step:
            case WriteFile():
                return self._write(step)
            case RemoveFile():
                return self._remove(step)
            case MoveFile():
                return self._move(step)
            case SwapFiles():
                return self._swap(step)
            case SetExecutable():
                return self._set_executable(step)
            case MakeFolder():
                return self._make_folder(step)
            case RemoveFolder():
                return self._remove_folder(step)
            case KeepCopy():
                return self._keep_copy(step)
            case _:
                assert_never(step)

    # -- contents ---------------------------------------------------------------------------------------

    def _write(self, step: WriteFile) -> Outcome:
        disk = self._disk
        node = self._staged(step)
        if isinstance(node, Failed):
            return node
        if step.expected is None:
            blocked = disk.blocked_by(step.path)
            if blocked is not None:
                return Failed(Cause.BLOCKED, f"{blocked} is in the way of {step.path}")
            if parent(step.path):
                disk.make_folder(parent(step.path))
            self._race(step.path)
            if disk.blocked_by(step.path) or not disk.is_folder(parent(step.path)):
                return Failed(Cause.BLOCKED, f"the folder of {step.path} is gone")
            if disk.get(step.path) is not None:
                return self._raced(step.path)
            self._use(step)
            disk.put(step.path, node)
            return Done(node.fingerprint)
        if not self._is_expected(step.path, step.expected):
            return self._raced(step.path)
        self._race(step.path)
        old = disk.get(step.path)
        if old is None or old.kind is NodeKind.FOLDER:
            return self._raced(step.path)
        same = old.digest == step.expected.digest
        if old.kind is NodeKind.LINK and not same:
            return self._raced(step.path)  # exchanged, found foreign, exchanged back
        self._use(step)
        disk.put(step.path, node)
        done = Done(node.fingerprint)
        held = self._hold(
            step.entry, step.path, old, step.expected.digest, isinstance(step.content, TextContent)
        )
        if same:
            if step.trash is not None:
                self.trash.append((step.path, old.data, step.trash))
            return done
        if old.writers:
            return done  # reported once its writer is done with it
        return Done(done.fingerprint, self._report(held))

    def _staged(self, step: WriteFile) -> Inode | Failed:
        disk = self._disk
        match step.content:
            case TextContent(text):
                return disk.new_inode(NodeKind.FILE, encode_text(text), step.executable)
            case LinkContent(target):
                return disk.new_inode(NodeKind.LINK, target.encode())
            case BlobContent(manifest):
                if manifest.digest not in self.staged_blobs:
                    return Failed(Cause.OTHER, f"the content of {step.path} is not in staging")
                return disk.new_inode(NodeKind.FILE, self.staged_blobs[manifest.digest], step.executable)
            case _:
                assert_never(step.content)

    def _use(self, step: WriteFile) -> None:
        if isinstance(step.content, BlobContent) and not self._still_needed:
            self.staged_blobs.pop(step.content.digest, None)

    def _remove(self, step: RemoveFile) -> Outcome:
        disk = self._disk
        if not self._is_expected(step.path, step.expected):
            return self._raced(step.path)
        self._race(step.path)
        old = disk.get(step.path)
        if old is None or old.kind is NodeKind.FOLDER or old.digest != step.expected.digest:
            return self._raced(step.path)  # taken out, found to be another, put back
        disk.take(step.path)
        self.trash.append((step.path, old.data, step.trash))
        self._hold(step.entry, step.path, old, step.expected.digest, True)
        return Done()

    # -- names ------------------------------------------------------------------------------------------

    def _move(self, step: MoveFile) -> Outcome:
        disk = self._disk
        if not self._is_expected(step.path, step.expected):
            return self._raced(step.path)
        blocked = disk.blocked_by(step.target)
        if blocked is not None:
            return Failed(Cause.BLOCKED, f"{blocked} is in the way of {step.target}")
        if parent(step.target):
            disk.make_folder(parent(step.target))
        self._race(step.path)
        node = disk.get(step.path)
        if node is None or disk.blocked_by(step.target):
            return self._raced(step.path)
        if disk.get(step.target) is not None:
            return self._raced(step.target)
        if not node.fingerprint.same_file(step.expected.fingerprint):
            return self._raced(step.path)  # a save came between: renamed, and renamed back
        disk.rename(step.path, step.target)
        return Done(node.fingerprint)

    def _swap(self, step: SwapFiles) -> Outcome:
        self._race(step.path)
        try:
            self._disk.exchange(step.path, step.other)
        except FileNotFoundError:
            return self._raced(step.path)
        return Done()

    def _set_executable(self, step: SetExecutable) -> Outcome:
        if not self._is_expected(step.path, step.expected):
            return self._raced(step.path)
        self._disk.set_executable(step.path, step.executable)
        return Done(self._disk.nodes[step.path].fingerprint)

    def _make_folder(self, step: MakeFolder) -> Outcome:
        disk = self._disk
        blocked = disk.blocked_by(step.path)
        if blocked is not None:
            return Failed(Cause.BLOCKED, f"{blocked} is in the way of {step.path}")
        if disk.get(step.path) is not None and not disk.is_folder(step.path):
            return self._raced(step.path)
        disk.make_folder(step.path)
        return Done()

    def _remove_folder(self, step: RemoveFolder) -> Outcome:
        disk = self._disk
        if disk.get(step.path) is None:
            return Done()
        if not disk.is_folder(step.path):
            return self._raced(step.path)
        if not disk.only_litter(step.path):
            return Failed(Cause.NOT_EMPTY, f"{step.path} is not empty")
        for litter in disk.inside(step.path):
            disk.take(litter)
        disk.take(step.path)
        return Done()

    # -- displaced files --------------------------------------------------------------------------------

    def _keep_copy(self, step: KeepCopy) -> Outcome:
        disk = self._disk
        held, number = self._find(step.token)
        if held is None or number not in held.reports:
            return Done()
        blocked = disk.blocked_by(step.path)
        if blocked is not None:
            return Failed(Cause.BLOCKED, f"{blocked} is in the way of {step.path}")
        if disk.get(step.path) is not None:
            return self._raced(step.path)
        if parent(step.path):
            disk.make_folder(parent(step.path))
        disk.put(step.path, held.node)
        del self.held[held.number]
        return Done(held.reports[number][1].fingerprint)

    def drop(self, token: str) -> None:
        """That report has been taken in."""
        held, number = self._find(token)
        if held is not None and number in held.reports:
            held.base = held.reports[number][0]
            for earlier in [earlier for earlier in held.reports if earlier <= number]:
                del held.reports[earlier]

    def poll(self) -> list[Displaced]:
        """Late changes of held files; lets go of those that nobody writes to any more."""
        found = []
        for held in list(self.held.values()):
            age_s = self._clock.now_s - held.since_s
            if held.node.digest != held.known:
                if held.node.writers and not held.node.data and age_s < limits.SETTLE_EMPTIED_MAX_S:
                    continue  # emptied: about to be written
                found.append(self._report(held))
            elif age_s >= limits.DISPLACED_MIN_S and not held.reports and not held.node.writers:
                del self.held[held.number]
        return found

    def recover(self) -> list[Displaced]:
        """At a start: the saves that nobody has taken note of yet."""
        for held in self.held.values():
            held.reports.clear()
            held.known = held.base
        return [self._report(held) for held in list(self.held.values()) if held.node.digest != held.base]

    def _hold(self, entry: EntryId, path: str, node: Inode, base: Digest, is_text: bool) -> Held:
        self._number += 1
        held = Held(self._number, entry, path, node, base, base, self._clock.now_s, is_text)
        if node.kind is NodeKind.FILE:
            self.held[self._number] = held
        return held

    def _report(self, held: Held) -> Displaced:
        seen = Present(held.node.fingerprint, content_of(held.node, held.is_text))
        replaced, held.known = held.known, held.node.digest
        held.reported += 1
        held.reports[held.reported] = (held.node.digest, seen)
        return Displaced(f"{held.number}.{held.reported}", held.entry, held.path, replaced, seen)

    def _find(self, token: str) -> tuple[Held | None, int]:
        number, _, report = token.partition(".")
        return self.held.get(int(number)), int(report)

    # -- helpers ----------------------------------------------------------------------------------------

    def _is_expected(self, path: str, expected: Expected) -> bool:
        node = self._disk.get(path)
        return node is not None and node.fingerprint.same_file(expected.fingerprint)

    def _raced(self, path: str) -> Raced:
        return Raced(path, self._disk.look(path, known_text=True))
