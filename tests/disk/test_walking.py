"""A folder is opened in one call where there is one, and it is the same folder as step by step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync.adapters.filesystem import Blocked, Tree
from crdtsync.adapters.kernel import Unsupported
from crdtsync.adapters.system_calls import SystemCalls


class CountingCalls(SystemCalls):
    """The real calls; with ``old`` those of a kernel without openat2."""

    def __init__(self, old: bool) -> None:
        super().__init__()
        self.old = old
        self.steps = 0

    def open_path(self, path: str, dir_fd: int) -> int:
        if self.old:
            raise Unsupported(errno.ENOSYS, os.strerror(errno.ENOSYS), path)
        return super().open_path(path, dir_fd)

    def open_folder(self, name: str, dir_fd: int | None = None) -> int:
        self.steps += 1
        return super().open_folder(name, dir_fd)


@pytest.fixture(params=[False, True], ids=["in one call", "step by step"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tree]:
    root = tmp_path / "root"
    (root / "a/b/c").mkdir(parents=True)
    (root / "a/file").write_text("x")
    (tmp_path / "outside").mkdir()
    (root / "a/out").symlink_to(tmp_path / "outside")
    (root / "a/in").symlink_to("b")
    fd = os.open(root, os.O_RDONLY)
    yield Tree(fd, CountingCalls(request.param))
    os.close(fd)


def test_the_folder_at_the_path_is_opened(tree: Tree, tmp_path: Path) -> None:
    for path in ("", "a", "a/b", "a/b/c"):
        with tree.folder(path) as fd:
            assert os.fstat(fd).st_ino == (tmp_path / "root" / path).stat().st_ino
            assert not os.get_inheritable(fd)
    assert isinstance(tree.calls, CountingCalls)
    assert (tree.calls.steps == 1) is not tree.calls.old  # the root alone is no path


@pytest.mark.parametrize("path", ["a/out", "a/out/x", "a/in", "a/in/c", "a/file", "a/file/x"])
def test_no_link_is_followed_and_what_is_in_the_way_is_named(tree: Tree, path: str) -> None:
    with pytest.raises(Blocked) as blocked, tree.folder(path):
        pass
    assert blocked.value.path == "/".join(path.split("/")[:2])
    with pytest.raises(Blocked), tree.made_folder(path):
        pass


def test_what_is_missing_is_told_or_made(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), tree.folder("a/x/y"):
        pass
    with tree.made_folder("a/x/y") as fd:
        assert os.fstat(fd).st_ino == (tmp_path / "root/a/x/y").stat().st_ino


def test_a_kernel_that_has_no_such_call_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = SystemCalls()
    monkeypatch.setattr("crdtsync.adapters.system_calls._OPENAT2", 100_000)
    (tmp_path / "a").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(2):
            with pytest.raises(Unsupported):
                calls.open_path("a", fd)
            monkeypatch.undo()
    finally:
        os.close(fd)
