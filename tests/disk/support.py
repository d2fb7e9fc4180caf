"""What the disk tests share: a joined folder with a clock of its own, and steps made from what is on disk."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crdtsync.adapters.disk import Disk
from crdtsync.adapters.filesystem import fingerprint_of
from crdtsync.adapters.kernel import Unsupported
from crdtsync.adapters.system_calls import SystemCalls
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.events import Recovered
from crdtsync.core.replica.steps import (
    Displaced,
    Done,
    Expected,
    Outcome,
    RemoveFile,
    Step,
    WriteFile,
)
from crdtsync.core.values.digests import Digest, digest_of, digest_of_text
from crdtsync.core.values.files import BlobContent, LinkContent, Manifest, Seen, TextContent
from crdtsync.core.values.ids import EntryId

ENTRY = EntryId("0123456789abcdef01234567")
_numbers = itertools.count(1)


class HookedCalls(SystemCalls):
    """The real system calls, with functions run before, after or instead of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[..., object]] = {}
        self.after: dict[str, Callable[..., object]] = {}
        self.instead: dict[str, Callable[..., object]] = {}

    def __getattribute__(self, name: str) -> object:
        attribute = super().__getattribute__(name)
        if name.startswith("_") or name in ("before", "after", "instead", "umask"):
            return attribute
        before, after = self.before.get(name), self.after.get(name)
        if name in self.instead:
            return self.instead[name]
        if before is None and after is None:
            return attribute

        def hooked(*args: object, **kwargs: object) -> object:
            if before is not None:
                before(*args, **kwargs)
            result = attribute(*args, **kwargs)
            if after is not None:
                after(*args, **kwargs)
            return result

        return hooked

    def open_path(self, path: str, dir_fd: int) -> int:
        if any("open_folder" in hooks for hooks in (self.before, self.after, self.instead)):
            raise Unsupported(errno.ENOSYS, "step by step, so that each step meets its hook", path)
        return super().open_path(path, dir_fd)


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Joined:
    """One joined folder under test."""

    root: Path
    calls: HookedCalls = field(default_factory=HookedCalls)
    clock: Clock = field(default_factory=Clock)
    utc: Clock = field(default_factory=lambda: Clock(1_800_000_000.0))

    def __post_init__(self) -> None:
        self.disk = self.open()

    def open(self) -> Disk:
        return Disk(self.root, "notes", calls=self.calls, clock=self.clock, utc_s=self.utc)

    def restart(self) -> list[Displaced]:
        """End and start again, as after a kill: nothing but the folder is kept."""
        return list(self.recovered().displaced)

    def recovered(self) -> Recovered:
        """The same, and all that it finds."""
        self.disk.close()
        self.disk = self.open()
        return self.disk.recover()

    @property
    def staging(self) -> Path:
        return self.root / ".crdtsync/staging"

    def staged(self) -> list[str]:
        return sorted(path.name for path in self.staging.iterdir())

    def look(self, path: str) -> Seen:
        ((_, seen),) = self.disk.look([LookAt(path, True)])
        return seen

    def perform(self, step: Step) -> Outcome:
        ((done, outcome),) = self.disk.perform([step])
        assert done is step
        return outcome

    def expected(self, path: str) -> Expected:
        """What is at ``path`` now, as an engine knows it that has just looked."""
        where = self.root / path
        status = where.lstat()
        content = os.fsencode(os.readlink(where)) if where.is_symlink() else where.read_bytes()
        return Expected(fingerprint_of(status), digest_of(content))

    def write(
        self,
        path: str,
        text: str,
        expected: Expected | None = None,
        *,
        trash: str | None = None,
        executable: bool = False,
    ) -> Outcome:
        return self.perform(text_step(path, text, expected, trash=trash, executable=executable))

    def remove(self, path: str, expected: Expected, trash: str = "deleted by others") -> Outcome:
        return self.perform(remove_step(path, expected, trash))

    def without_fsync(self) -> None:
        """For tests of many writes, of which none is about a power cut."""
        self.calls.instead["fsync"] = lambda fd: None

    def poll(self, after_s: float = 0.0) -> list[Displaced]:
        self.clock.now_s += after_s
        found, _ = self.disk.poll_displaced(self.clock.now_s)
        return found


def number() -> int:
    return next(_numbers)


def text_step(
    path: str,
    text: str,
    expected: Expected | None = None,
    *,
    trash: str | None = None,
    executable: bool = False,
) -> WriteFile:
    content = TextContent(text, digest_of_text(text))
    return WriteFile(number(), ENTRY, path, content, executable, expected, trash)


def remove_step(path: str, expected: Expected, trash: str = "deleted by others") -> RemoveFile:
    return RemoveFile(number(), ENTRY, path, expected, trash)


def link_step(path: str, target: str, expected: Expected | None = None) -> WriteFile:
    content = LinkContent(target, digest_of(target.encode()))
    return WriteFile(number(), ENTRY, path, content, False, expected, None)


def blob_step(
    path: str, data: bytes, expected: Expected | None = None, trash: str | None = None
) -> WriteFile:
    content = BlobContent(Manifest(digest_of(data), len(data), ()))
    return WriteFile(number(), ENTRY, path, content, False, expected, trash)


def text_of(displaced: Displaced) -> str:
    content = displaced.seen.content
    assert isinstance(content, TextContent)
    return content.text


def done(outcome: Outcome) -> Done:
    assert isinstance(outcome, Done), outcome
    return outcome


def digest(text: str) -> Digest:
    return digest_of(text.encode())
