"""Every error of the system ends as a Failed with a cause and a sentence, and with nothing changed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crdtsync.core.replica.steps import (
    Cause,
    Done,
    Failed,
    MakeFolder,
    MoveFile,
    RemoveFile,
    SetExecutable,
    Step,
    SwapFiles,
)

from .support import ENTRY, Joined, link_step, number, text_step

_ERRORS = {
    errno.ENOSPC: (Cause.NO_SPACE, "full"),
    errno.EDQUOT: (Cause.NO_SPACE, "quota"),
    errno.EACCES: (Cause.DENIED, "permission"),
    errno.EPERM: (Cause.DENIED, "not permitted"),
    errno.EROFS: (Cause.READ_ONLY, "read-only"),
    errno.ENAMETOOLONG: (Cause.NAME, "too long"),
    errno.EINVAL: (Cause.NAME, "name"),
    errno.EILSEQ: (Cause.NAME, "characters"),
    errno.EIO: (Cause.OTHER, "input/output"),
    errno.EMFILE: (Cause.OTHER, "ulimit"),
    errno.EBUSY: (Cause.OTHER, "in use"),
    errno.ETIMEDOUT: (Cause.OTHER, "timed out"),
}

_STEPS: dict[str, tuple[Callable[[Joined], Step], tuple[str, ...]]] = {
    "new": (
        lambda joined: text_step("f/new", "text"),
        ("open", "write_all", "fsync", "mkdir", "rename_noreplace"),
    ),
    "replace": (
        lambda joined: text_step("a", "text", joined.expected("a")),
        ("open", "write_all", "fsync", "rename", "exchange", "fchmod"),
    ),
    "replace, noted": (lambda joined: text_step("ä", "text", joined.expected("ä")), ("symlink",)),
    "link": (lambda joined: link_step("l", "a"), ("symlink", "rename_noreplace")),
    "remove": (
        lambda joined: RemoveFile(number(), ENTRY, "a", joined.expected("a"), "deleted"),
        ("rename",),
    ),
    "remove, noted": (
        lambda joined: RemoveFile(number(), ENTRY, "ä", joined.expected("ä"), "deleted"),
        ("symlink",),
    ),
    "move": (
        lambda joined: MoveFile(number(), ENTRY, "a", "f/b", joined.expected("a")),
        ("mkdir", "rename_noreplace"),
    ),
    "swap": (lambda joined: SwapFiles(number(), "a", "b"), ("exchange",)),
    "executable": (lambda joined: SetExecutable(number(), "a", True, joined.expected("a")), ("fchmod",)),
    "folder": (lambda joined: MakeFolder(number(), "f/g"), ("mkdir",)),
}
_CASES = [(name, call) for name, (_, calls) in _STEPS.items() for call in calls]


def _state(root: Path) -> dict[str, object]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if path.name != "lock"
    }


@pytest.mark.parametrize(("name", "call"), _CASES)
@pytest.mark.parametrize("code", _ERRORS)
def test_an_error_is_named_and_changes_nothing(joined: Joined, name: str, call: str, code: int) -> None:
    (joined.root / "a").write_text("one")
    (joined.root / "a").chmod(0o751)
    (joined.root / "ä").write_text("umlaut")
    (joined.root / "b").write_text("two")
    step = _STEPS[name][0](joined)
    before = _state(joined.root)

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    joined.calls.instead[call] = fail
    outcome = joined.perform(step)
    joined.calls.instead.clear()
    if (call, code) == ("symlink", errno.EPERM) and name != "link":
        assert isinstance(outcome, Done), "a file system without links: the note is a file"
        return
    cause, words = _ERRORS[code]
    assert isinstance(outcome, Failed)
    assert outcome.cause is cause
    assert words in outcome.message.lower()
    assert step.path in outcome.message
    assert _state(joined.root) == before
    assert isinstance(joined.perform(step), Done), "once the cause is gone, it works"


def test_a_batch_whose_sync_fails_writes_nothing(joined: Joined) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    joined.calls.instead["syncfs"] = fail
    outcomes = joined.disk.perform([text_step(f"f{each}", "text") for each in range(10)])
    assert all(isinstance(outcome, Failed) for _, outcome in outcomes)
    assert os.listdir(joined.root) == [".crdtsync"]
    assert joined.staged() == []


def test_a_full_disk_in_the_middle_of_a_batch_fails_only_those_that_did_not_fit(joined: Joined) -> None:
    real = joined.calls.write_all
    written = 0

    def write_all(fd: int, data: bytes) -> None:
        nonlocal written
        written += 1
        if written > 5:
            real(fd, data[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, data)

    joined.calls.instead["write_all"] = write_all
    outcomes = joined.disk.perform([text_step(f"f{each}", "whole text") for each in range(10)])
    assert [isinstance(outcome, Done) for _, outcome in outcomes] == [True] * 5 + [False] * 5
    assert {path.read_text() for path in joined.root.glob("f*")} == {"whole text"}
    assert joined.staged() == []


@pytest.mark.parametrize("path", ["", "/etc/x", "a/../b", "x" * 300, "a//b", "nul\0", "\udcff"])
def test_a_path_that_cannot_be_is_never_written(joined: Joined, path: str) -> None:
    outcome = joined.perform(text_step(path, "text"))
    assert isinstance(outcome, Failed) and outcome.cause is Cause.NAME
    assert os.listdir(joined.root) == [".crdtsync"]
    assert joined.staged() == []


@pytest.mark.parametrize("path", [".crdtsync/lock", ".git/config", "a/.git/hooks/pre-commit", ".CRDTSYNC/x"])
def test_a_reserved_path_is_never_written(joined: Joined, path: str) -> None:
    outcome = joined.perform(text_step(path, "text"))
    assert isinstance(outcome, Failed) and outcome.cause is Cause.NAME
    assert sorted(os.listdir(joined.root)) == [".crdtsync"]
