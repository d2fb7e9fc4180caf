"""Opens the trash of a joined folder without joining it, and brings files back, like a person with ``mv``.

A replica that runs meanwhile sees a file appear; nothing else is shared with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from crdtsync.adapters.exchange import put_new
from crdtsync.adapters.filesystem import Blocked, Tree, split
from crdtsync.adapters.private_folder import PrivateFolder
from crdtsync.adapters.staging import RandomNonces, Staging
from crdtsync.adapters.system_calls import SystemCalls
from crdtsync.adapters.trash import Trash, Trashed
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import FolderError

_TRIES: Final = 1000


@contextmanager
def open_trash(joined: Path) -> Iterator[tuple[Trash, Tree]]:
    """The trash of the folder at ``joined``, and the folder. Raises FolderError."""
    calls = SystemCalls()
    with ExitStack() as stack:
        try:
            root_fd = calls.open_folder(str(joined))
            stack.callback(calls.close, root_fd)
            tree = Tree(root_fd, calls)
            state_fd = stack.enter_context(tree.folder(STATE_FOLDER))
            place = PrivateFolder(f"{STATE_FOLDER}/staging", state_fd, calls)
            stack.callback(place.close)
        except OSError as error:
            shown = printable(str(joined))
            raise FolderError(f"The trash of {shown} cannot be opened: {error.strerror}") from error
        yield Trash(tree, Staging(place, tree, RandomNonces()), time.time), tree


def restore(found: Sequence[Trashed], path: str, tree: Tree) -> str:
    """Move the newest file of that path back, or beside it when something is there; returns where it is now.

    Nothing is ever replaced. Raises FolderError, with the file still in the trash.
    """
    chosen = next((each for each in reversed(found) if each.path == path), None)
    if chosen is None:
        raise FolderError(f"{printable(path)} is not in the trash; 'crdtsync trash' lists what is there")
    folder, name = split(chosen.location)
    above, last = split(path)
    try:
        with tree.folder(folder) as fd, tree.made_folder(above) as target_fd:
            for target in (last, *(_beside(last, number) for number in range(1, _TRIES))):
                try:
                    put_new(tree.calls, name, fd, target, target_fd)
                except FileExistsError:
                    continue
                return f"{above}/{target}" if above else target
    except Blocked as error:
        raise FolderError(
            f"{printable(path)} cannot be restored: {printable(error.path)} is no folder; move it away first"
        ) from error
    except OSError as error:
        raise FolderError(f"{printable(path)} cannot be restored: {os.strerror(error.errno or 0)}") from error
    raise FolderError(f"{printable(path)} cannot be restored: too many files beside it; move some away")


def _beside(name: str, number: int) -> str:
    """``stem (restored 2).ext``, with the stem shortened so that the name fits."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(os.fsencode(extension)) > 32:
        stem, dot, extension = name, "", ""
    tail = f" (restored{'' if number == 1 else f' {number}'}){dot}{extension}"
    room = limits.NAME_MAX_BYTES - len(os.fsencode(tail))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + tail
