"""Puts files at names in one atomic step: by exchange, or where nothing may be, and never over anything else.

Knows the kernel's calls and what stands in for them where the file system has none; the callers inspect what
came out. Every fallback says in a RACE comment what it can lose at worst.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from crdtsync.adapters.kernel import Kernel, Unsupported
from crdtsync.adapters.staging import Held, Stage, Staging

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES, errno.EXDEV})
"""How ``link`` answers where it cannot be had; for EACCES and EXDEV see protected_hardlinks and mounts."""


def put_new(calls: Kernel, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
    """Rename to a name at which nothing may be. Raises FileExistsError, or any other OSError."""
    try:
        calls.rename_noreplace(name, dir_fd, new_name, new_dir_fd)
        return
    except Unsupported:
        pass
    try:
        calls.link(name, dir_fd, new_name, new_dir_fd)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        calls.unlink(name, dir_fd)
        return
    # RACE: no rename without replacing, and no hard links (NFS with folders, FAT): a file that is created
    # at the new name between the two calls below is replaced. Worst case: that one new file is lost.
    try:
        calls.lstat(new_name, new_dir_fd)
    except FileNotFoundError:
        calls.rename(name, dir_fd, new_name, new_dir_fd)
    else:
        raise FileExistsError(errno.EEXIST, "something is there", new_name)


def exchange(staging: Staging, held: Held, held_fd: int, name: str, dir_fd: int) -> Held:
    """Swap the held file with what is at ``name``; returns what now holds that.

    A reader of ``name`` sees the one or the other, never nothing. Raises FileNotFoundError when nothing is at
    ``name``, OSError with EXDEV when it is on another file system, and any other OSError; then nothing moved.
    """
    calls = staging.calls
    try:
        calls.exchange(held.name, held_fd, name, dir_fd)
        return held
    except Unsupported:
        pass
    # RACE: no exchange (NFS, some FUSE file systems). The replaced file keeps a second name in staging, so a
    # save that writes into it is found there, as after an exchange. Worst case: a save that puts another file
    # at ``name`` (a rename) between the link and the rename below, some microseconds, is lost.
    aside = replace(held, nonce=staging.new_nonce(), stage=Stage.DISPLACED)
    staging.note(aside)
    try:
        calls.link(name, dir_fd, aside.name, held_fd)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            staging.forget(aside)
            raise
        # RACE: no hard links either (exFAT): the replaced file is copied. Worst case: any save between the
        # end of the copy and the rename below is lost.
        try:
            staging.copy(name, dir_fd, aside.name, held_fd)
        except OSError:
            staging.forget(aside)
            raise
    try:
        calls.rename(held.name, held_fd, name, dir_fd)
    except OSError:
        staging.unlink_quietly(aside.name, held_fd)
        staging.forget(aside)
        raise
    staging.forget(held)
    return aside


def swap(staging: Staging, held: Held, name: str, dir_fd: int, other: str, other_fd: int) -> None:
    """Swap what is at two names. Raises OSError, with nothing moved; ``held`` is for the way round.

    Without exchange, the first goes through staging; a restart in between finds it there by its note.
    """
    calls = staging.calls
    try:
        calls.exchange(name, dir_fd, other, other_fd)
        return
    except Unsupported:
        pass
    # RACE: no exchange: for an instant a reader finds nothing at one of the names. Nothing is lost.
    staging.note(held)
    try:
        calls.rename(name, dir_fd, held.name, staging.fd)
    except OSError:
        staging.forget(held)
        raise
    try:
        put_new(calls, other, other_fd, name, dir_fd)
    except OSError:
        put_new(calls, held.name, staging.fd, name, dir_fd)
        staging.forget(held)
        raise
    try:
        put_new(calls, held.name, staging.fd, other, other_fd)
    except OSError:
        put_new(calls, name, dir_fd, other, other_fd)
        put_new(calls, held.name, staging.fd, name, dir_fd)
        staging.forget(held)
        raise
    staging.forget(held)
