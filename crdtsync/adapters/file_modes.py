"""Permissions, owner and attributes of a file that takes another's place; content is not its business."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TypeAlias

from crdtsync.adapters.kernel import Kernel

_PERMISSIONS = 0o777
_UNCOPIED_ATTRIBUTES = ("security.", "trusted.")
Replaced: TypeAlias = tuple[int | None, os.stat_result]
"""A file that another takes the place of: its descriptor, if it could be opened, and its status."""


def mode_for(replaced: int | None, executable: bool, umask: int) -> int:
    """The permission bits of a file: those of the one it replaces, or what the umask leaves to a new one.

    When the executable bit is to change, whoever may read may execute, as git has it. Set-user-id bits are
    not carried over: the content comes from others.
    """
    mode = 0o666 & ~umask if replaced is None else replaced & _PERMISSIONS
    if bool(mode & stat.S_IXUSR) == executable:
        return mode
    return mode | stat.S_IXUSR | (mode & 0o444) >> 2 if executable else mode & ~0o111


def dress(
    calls: Kernel,
    fd: int,
    replaced: Replaced | None,
    folder: os.stat_result,
    executable: bool,
) -> None:
    """Give the staged file at ``fd`` the looks of the one it replaces, or of a new one in ``folder``.

    Best effort but for the permission bits: a file is never readable for more people than the one it
    replaces. Raises OSError.
    """
    own = calls.fstat(fd)
    if replaced is None:
        mode = mode_for(None, executable, calls.umask)
        gid = _group_for(own, folder)
        if gid != own.st_gid:
            with suppress(OSError):
                calls.fchown(fd, -1, gid)
    else:
        replaced_fd, status = replaced
        if replaced_fd is not None:
            for attribute in _attributes(calls, replaced_fd):
                with suppress(OSError):
                    calls.copy_attribute(replaced_fd, fd, attribute)
        mode = mode_for(status.st_mode, executable, calls.umask)
        mode = _take_owner(calls, fd, own, status, mode)
    if mode != own.st_mode & _PERMISSIONS:
        calls.fchmod(fd, mode)


def is_dressed(calls: Kernel, own: os.stat_result, folder: os.stat_result, executable: bool) -> bool:
    """Whether a staged file of that status looks as a new one in ``folder`` does, with nothing to be done."""
    looks = own.st_mode & _PERMISSIONS, own.st_gid
    return looks == (mode_for(None, executable, calls.umask), _group_for(own, folder))


def is_dressed_as(calls: Kernel, own: os.stat_result, replaced: Replaced, executable: bool) -> bool:
    """Whether a staged file of that status looks as the one it replaces, with nothing to be done."""
    replaced_fd, status = replaced
    looks = own.st_mode & _PERMISSIONS, own.st_uid, own.st_gid
    if looks != (mode_for(status.st_mode, executable, calls.umask), status.st_uid, status.st_gid):
        return False
    return replaced_fd is None or not _attributes(calls, replaced_fd)


def _group_for(own: os.stat_result, folder: os.stat_result) -> int:
    """Of a new file: that of a folder which hands its group on, or its own."""
    return folder.st_gid if folder.st_mode & stat.S_ISGID else own.st_gid


def _take_owner(calls: Kernel, fd: int, own: os.stat_result, replaced: os.stat_result, mode: int) -> int:
    """Returns the mode, narrowed when the group could not be kept: those bits were meant for that group."""
    if own.st_uid != replaced.st_uid:
        with suppress(OSError):
            calls.fchown(fd, replaced.st_uid, -1)
    if own.st_gid != replaced.st_gid:
        try:
            calls.fchown(fd, -1, replaced.st_gid)
        except OSError:
            return mode & ~0o070 | (mode & 0o007) << 3 & mode & 0o070
    return mode


def _attributes(calls: Kernel, fd: int) -> list[str]:
    """Those to be copied."""
    try:
        return [name for name in calls.attributes(fd) if not name.startswith(_UNCOPIED_ATTRIBUTES)]
    except OSError:
        return []
