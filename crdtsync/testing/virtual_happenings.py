"""What a file system tells whoever watches it."""

from __future__ import annotations

from typing import Final, Protocol

from crdtsync.testing.virtual_inodes import Inode


class Happening:
    """What can happen, as inotify(7) has it; the bits are Linux's."""

    MODIFY: Final = 0x2
    ATTRIB: Final = 0x4
    CLOSE_WRITE: Final = 0x8
    MOVED_FROM: Final = 0x40
    MOVED_TO: Final = 0x80
    CREATE: Final = 0x100
    DELETE: Final = 0x200
    DELETE_SELF: Final = 0x400
    MOVE_SELF: Final = 0x800
    IS_FOLDER: Final = 0x40000000


class Listener(Protocol):
    """Is told of what happens to a folder (with no name), or to a name in it."""

    def happened(self, folder: Inode, what: int, name: str, cookie: int) -> None: ...
