"""Carries out disk steps, in order, on a worker thread, and says how each one ended.

Knows batches, durability and errors; how one path is changed safely is known by ``replacing`` and
``rearranging``.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, assert_never

from crdtsync.adapters.contents import link_problem
from crdtsync.adapters.displaced import DisplacedFiles
from crdtsync.adapters.failures import failed
from crdtsync.adapters.file_modes import mode_for
from crdtsync.adapters.filesystem import Tree, split
from crdtsync.adapters.rearranging import Rearranging
from crdtsync.adapters.replacing import Replacing, Staged
from crdtsync.adapters.root_guard import RootGuard
from crdtsync.adapters.staging import BLOB_PREFIX, Held, Stage, Staging
from crdtsync.core.replica.steps import (
    Cause,
    Done,
    Failed,
    KeepCopy,
    MakeFolder,
    MoveFile,
    Outcome,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    Step,
    SwapFiles,
    WriteFile,
)
from crdtsync.core.values import limits
from crdtsync.core.values.digests import encode_text
from crdtsync.core.values.files import BlobContent, LinkContent, TextContent, kind_of
from crdtsync.core.values.ids import printable
from crdtsync.core.values.paths import path_problem
from crdtsync.core.values.reserved import reserved_path

SYNC_TOGETHER_FROM: Final = 8
"""From this many texts on, one syncfs for all costs less than an fsync each."""
_RESERVED: Final = "a name in it is never shared"
_GROUP_MAX_STEPS: Final = 256
"""The engine takes in one group while the next is carried out."""
_GROUP_MAX_BYTES: Final = 64 * limits.MiB
"""What is staged at once: a bound for the disk space that a batch takes twice."""


class DiskWriter:
    def __init__(
        self,
        tree: Tree,
        guard: RootGuard,
        staging: Staging,
        displaced: DisplacedFiles,
        replacing: Replacing,
        rearranging: Rearranging,
    ) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._guard = guard
        self._staging = staging
        self._displaced = displaced
        self._replacing = replacing
        self._rearranging = rearranging
        self._elsewhere: dict[int, str] = {}
        """Other file systems that were written to: device and one folder on each."""
        self._prepared: dict[int, Staged | Failed] = {}
        """Staged texts of steps that were not asked for yet, by step."""

    def make_durable(self) -> None:
        """All that was written survives a power cut. Raises OSError when a disk fails to."""
        self._calls.syncfs(self._tree.root_fd)
        for folder in list(self._elsewhere.values()):
            with self._tree.folder(folder) as fd:
                self._calls.syncfs(fd)

    def prepare(self, steps: Sequence[Step]) -> None:
        """Stage the texts of these steps, if they are few, while it is being decided whether to take them.

        Should they never be asked for, what was staged goes at the next start.
        """
        texts = [(step, content) for step, content in _texts(steps) if step.step not in self._prepared]
        if len(texts) < SYNC_TOGETHER_FROM:
            self._prepared |= self._stage_texts(texts)

    def perform(
        self, steps: Sequence[Step], done: Callable[[Sequence[tuple[Step, Outcome]]], None]
    ) -> list[tuple[Step, Outcome]]:
        """Carry out the steps in order and say how each one ended; one that fails does not stop the others.

        ``done`` is told so of each group of steps, once it is carried out.

        Raises RootGone when the root vanished before, between or after them; what was displaced until then
        is found by ``recover`` at the next start.
        """
        outcomes: list[tuple[Step, Outcome]] = []
        blobs: Counter[str] = Counter(
            step.content.digest
            for step in steps
            if isinstance(step, WriteFile) and isinstance(step.content, BlobContent)
        )
        with self._guard.guarded():
            for group in _groups(steps):
                staged = self._staged(group)
                some: list[tuple[Step, Outcome]] = []
                for step, before in zip(group, (None, *group), strict=False):
                    if not (_makes(step) and _makes(before)):
                        self._guard.check()
                    some.append((step, self._outcome(step, staged.get(step.step), blobs)))
                self._guard.check()
                done(some)
                outcomes += some
        return outcomes

    # -- staging ----------------------------------------------------------------------------------------

    def _staged(self, group: Sequence[Step]) -> dict[int, Staged | Failed]:
        """The texts of a group in staging, complete and durable, before any of them becomes visible."""
        texts = _texts(group)
        prepared = {
            step.step: self._prepared.pop(step.step) for step, _ in texts if step.step in self._prepared
        }
        return prepared | self._stage_texts([text for text in texts if text[0].step not in prepared])

    def _stage_texts(self, texts: Sequence[tuple[WriteFile, TextContent]]) -> dict[int, Staged | Failed]:
        together = len(texts) >= SYNC_TOGETHER_FROM
        staged: dict[int, Staged | Failed] = {}
        for step, content in texts:
            nonce = self._staging.new_nonce()
            try:
                status = self._staging.write_temporary(
                    nonce,
                    encode_text(content.text),
                    durable=not together,
                    mode=mode_for(None, step.executable, self._calls.umask),
                )
                staged[step.step] = Staged(nonce, self._staging.temporary(nonce), status=status)
            except OSError as error:
                staged[step.step] = failed(error, step.path, "written")
        if together:
            try:
                self._calls.syncfs(self._staging.fd)
            except OSError as error:
                for step, _ in texts:
                    self._unstage(staged[step.step])
                    staged[step.step] = failed(error, step.path, "written")
        return staged

    def _unstage(self, staged: Staged | Failed | None) -> None:
        if isinstance(staged, Staged) and not staged.name.startswith(BLOB_PREFIX):
            self._staging.unlink_quietly(staged.name, self._staging.fd)

    def _stage_other(self, step: WriteFile, blobs: Counter[str]) -> Staged | Failed:
        staging = self._staging
        nonce = staging.new_nonce()
        match step.content:
            case BlobContent(manifest) if not staging.has(BLOB_PREFIX + manifest.digest):
                return Failed(
                    Cause.OTHER,
                    f"{printable(step.path)} could not be written: its content is not in staging any more; "
                    "it is fetched again",
                )
            case BlobContent(manifest):
                name = BLOB_PREFIX + manifest.digest
                blobs[manifest.digest] -= 1
                if blobs[manifest.digest] > 0:  # another step needs it too
                    staging.copy(name, staging.fd, staging.temporary(nonce), staging.fd)
                    name = staging.temporary(nonce)
                return Staged(nonce, name)
            case LinkContent(target):
                problem = link_problem(step.path, target)
                if problem is not None:
                    return Failed(Cause.OTHER, f"{printable(step.path)} could not be made: {problem}")
                self._calls.symlink(target, staging.temporary(nonce), staging.fd)
                return Staged(nonce, staging.temporary(nonce))
            case TextContent():
                raise AssertionError("texts are staged by group")
            case _:
                assert_never(step.content)

    # -- carrying out -----------------------------------------------------------------------------------

    def _outcome(self, step: Step, staged: Staged | Failed | None, blobs: Counter[str]) -> Outcome:
        outcome = self._tried(step, staged, blobs)
        if not isinstance(outcome, Done):
            try:
                self._staging.stand()  # for the next try, if it was this that someone deleted
            except OSError as error:
                return failed(error, step.path, _DOING[type(step)])
        return outcome

    def _tried(self, step: Step, staged: Staged | Failed | None, blobs: Counter[str]) -> Outcome:
        for path in _paths_of(step):
            problem = path_problem(path) or (_RESERVED if reserved_path(path) else None)
            if problem is not None:
                self._unstage(staged)
                return Failed(Cause.NAME, f"{printable(path)} cannot be written: {problem}")
        try:
            match step:
                case WriteFile():
                    return self._write(step, staged or self._stage_other(step, blobs))
                case RemoveFile():
                    return self._replacing.remove(step, step.trash)
                case MoveFile():
                    return self._rearranging.move(step)
                case SwapFiles():
                    return self._rearranging.swap(step)
                case SetExecutable():
                    return self._rearranging.set_executable(step)
                case MakeFolder():
                    return self._rearranging.make_folder(step)
                case RemoveFolder():
                    return self._rearranging.remove_folder(step)
                case KeepCopy():
                    return self._rearranging.keep_copy(step)
                case _:
                    assert_never(step)
        except OSError as error:
            return failed(error, step.path, _DOING[type(step)])

    def _write(self, step: WriteFile, staged: Staged | Failed) -> Outcome:
        if isinstance(staged, Failed):
            return staged
        outcome: Outcome | None = None
        try:
            try:
                outcome = self._replacing.write(step, staged)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                outcome = self._write_beside(step, staged)
        finally:
            if not isinstance(outcome, Done):
                self._unstage(staged)
        return outcome

    def _write_beside(self, step: WriteFile, staged: Staged) -> Outcome:
        """The path is on another file system: stage once more, in its own folder."""
        staging = self._staging
        nonce = staging.new_nonce()
        held = Held(
            nonce,
            Stage.EXCHANGING,
            step.entry,
            step.expected.digest if step.expected is not None else None,
            step.content.digest,
            step.path,
            kind_of(step.content),
            trash=step.trash,
            beside=True,
        )
        beside = Staged(nonce, staging.temporary(nonce, beside=True), beside=True)
        folder = split(step.path)[0]
        with self._tree.made_folder(folder) as dir_fd:
            self._elsewhere[self._calls.fstat(dir_fd).st_dev] = folder
            staging.note(held)
            try:
                staging.copy(staged.name, staging.fd, beside.name, dir_fd)
                outcome = self._replacing.write(step, beside)
            finally:
                staging.unlink_quietly(beside.name, dir_fd)
                if not self._displaced.holds(nonce):
                    staging.forget(held)
        if isinstance(outcome, Done):
            staging.unlink_quietly(staged.name, staging.fd)
        return outcome


_DOING: Final[dict[type[Step], str]] = {
    WriteFile: "written",
    RemoveFile: "removed",
    MoveFile: "moved",
    SwapFiles: "swapped",
    SetExecutable: "made executable or not",
    MakeFolder: "made",
    RemoveFolder: "removed",
    KeepCopy: "kept as a copy",
}


def _makes(step: Step | None) -> bool:
    """Whether all that it does is to put something where nothing is, in the folder that was opened."""
    return isinstance(step, WriteFile) and step.expected is None


def _texts(steps: Sequence[Step]) -> list[tuple[WriteFile, TextContent]]:
    return [
        (step, step.content)
        for step in steps
        if isinstance(step, WriteFile) and isinstance(step.content, TextContent)
    ]


def _groups(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    group: list[Step] = []
    size_bytes = 0
    for step in steps:
        group.append(step)
        if isinstance(step, WriteFile) and isinstance(step.content, TextContent):
            size_bytes += len(step.content.text)
        if len(group) >= _GROUP_MAX_STEPS or size_bytes >= _GROUP_MAX_BYTES:
            yield group
            group, size_bytes = [], 0
    if group:
        yield group


def _paths_of(step: Step) -> tuple[str, ...]:
    match step:
        case MoveFile(path=path, target=other) | SwapFiles(path=path, other=other):
            return path, other
        case _:
            return (step.path,)
