"""What an errno means for a disk step: the cause, and the words for a person. One table."""

from __future__ import annotations

import errno

from crdtsync.adapters.filesystem import Blocked
from crdtsync.core.replica.steps import Cause, Failed
from crdtsync.core.values.ids import printable

_TABLE: dict[int, tuple[Cause, str]] = {
    errno.ENOSPC: (Cause.NO_SPACE, "the disk is full; free some space, it is tried again"),
    errno.EDQUOT: (Cause.NO_SPACE, "your disk quota is used up; free some space, it is tried again"),
    errno.EACCES: (Cause.DENIED, "permission denied; change the permissions of the folder it is in"),
    errno.EPERM: (Cause.DENIED, "not permitted; it may be immutable or belong to someone else"),
    errno.EROFS: (Cause.READ_ONLY, "the file system is read-only; mount it for writing"),
    errno.ENAMETOOLONG: (Cause.NAME, "the name is too long for this file system; rename it elsewhere"),
    errno.EINVAL: (Cause.NAME, "this file system does not take the name; rename it elsewhere"),
    errno.EILSEQ: (Cause.NAME, "this file system does not take the characters; rename it elsewhere"),
    errno.ENOTDIR: (Cause.BLOCKED, "a file stands where a folder must be; move it away"),
    errno.ELOOP: (Cause.BLOCKED, "a link stands where a folder must be; move it away"),
    errno.ENOTEMPTY: (Cause.NOT_EMPTY, "the folder is not empty; what is in it stays"),
    errno.EIO: (Cause.OTHER, "input/output error; check the disk"),
    errno.EFBIG: (Cause.OTHER, "the file is too large for this file system"),
    errno.EMLINK: (Cause.OTHER, "too many links; this file system is at its limit"),
    errno.EMFILE: (Cause.OTHER, "too many open files; raise the limit (ulimit -n)"),
    errno.ENFILE: (Cause.OTHER, "too many open files in the system"),
    errno.EBUSY: (Cause.OTHER, "it is in use by the system; it is tried again"),
    errno.ETXTBSY: (Cause.OTHER, "it is a program that runs; it is tried again"),
}


def failed(error: OSError, path: str, doing: str) -> Failed:
    """The outcome of a step that met ``error``; ``doing`` is a participle ("written", "removed")."""
    if isinstance(error, Blocked):
        return Failed(
            Cause.BLOCKED,
            f"{printable(path)} could not be {doing}: {printable(error.path)} is not a folder; move it away",
        )
    cause, why = _TABLE.get(error.errno or 0, (Cause.OTHER, f"{error.strerror or error}; it is tried again"))
    return Failed(cause, f"{printable(path)} could not be {doing}: {why}")


def unreadable_reason(error: OSError) -> str:
    """Why a path cannot be read, for a person."""
    if error.errno == errno.EACCES:
        return "it cannot be read: permission denied; change its permissions, or those of the folder it is in"
    _, why = _TABLE.get(error.errno or 0, (Cause.OTHER, f"{error.strerror or error}"))
    return f"it cannot be read: {why}"
