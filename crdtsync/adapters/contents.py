"""Reads one file or link at the end of a safe walk into what the engine knows as Seen.

Knows when a read can be believed (nothing changed while it lasted), and what must never be opened; which
paths are asked for is up to the callers.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from blake3 import blake3

from crdtsync.adapters.chunker import manifest_of_bytes, manifest_of_file
from crdtsync.adapters.failures import unreadable_reason
from crdtsync.adapters.filesystem import fingerprint_of
from crdtsync.adapters.kernel import Kernel
from crdtsync.adapters.recutting import Cuts, Earlier
from crdtsync.core.text.classify import classify
from crdtsync.core.text.torn import beginning
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import (
    Absent,
    BlobContent,
    Content,
    LinkContent,
    Present,
    Seen,
    TextContent,
    Unreadable,
    Unshareable,
)
from crdtsync.core.values.paths import link_leads_out

READ_TRIES: Final = 4
CHANGING: Final = Unreadable("it changes while it is read; it is read again when its writer pauses")
TOO_LARGE: Final = f"it is larger than {limits.BLOB_MAX_BYTES // limits.GiB} GiB: stays here only"
REMEMBERED_FROM_BYTES: Final = 16 * limits.MiB
"""How smaller files were cut is not remembered: they are cut in milliseconds."""
_READ_BYTES: Final = 1024 * 1024
_FIRST_READ_BYTES: Final = 64 * 1024
"""Most files are smaller, and memory for more would be asked of the kernel each time."""
_SPECIAL: Final = {
    stat.S_IFIFO: "a named pipe: stays here only",
    stat.S_IFSOCK: "a socket: stays here only",
    stat.S_IFCHR: "a device: stays here only",
    stat.S_IFBLK: "a device: stays here only",
}


def special_reason(mode: int) -> str:
    """Why something that is neither file, link nor folder is not shared."""
    return _SPECIAL.get(stat.S_IFMT(mode), "neither a file nor a folder: stays here only")


def observe(
    calls: Kernel, dir_fd: int, name: str, path: str, known_text: bool, cuts: Cuts | None = None
) -> Seen:
    """What is at ``name`` in the folder ``dir_fd``, which is not a folder itself.

    ``path`` is its room-relative path, from which a relative link leads. For a folder the answer is CHANGING:
    the caller has seen something else there just before. ``cuts`` remembers how large files were cut. Never
    raises OSError.
    """
    for _ in range(READ_TRIES):
        try:
            status = calls.lstat(name, dir_fd)
            if stat.S_ISREG(status.st_mode):
                seen = _file(calls, dir_fd, name, path, status, known_text, cuts)
            elif stat.S_ISLNK(status.st_mode):
                seen = _link(calls, dir_fd, name, path, status)
            elif stat.S_ISDIR(status.st_mode):
                seen = None
            else:
                return Unshareable(special_reason(status.st_mode))
        except FileNotFoundError:
            return Absent()
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                continue  # it became a link, a socket or a folder between stat and open
            if error.errno == errno.EFBIG:
                return Unshareable(TOO_LARGE)
            return Unreadable(unreadable_reason(error))
        if seen is not None:
            return seen
    return CHANGING


def _file(
    calls: Kernel,
    dir_fd: int,
    name: str,
    path: str,
    expected: os.stat_result,
    known_text: bool,
    cuts: Cuts | None,
) -> Seen | None:
    """None when it changed while it was read."""
    if expected.st_size > limits.BLOB_MAX_BYTES:
        return Unshareable(TOO_LARGE)
    fd = calls.open_file(name, dir_fd)
    try:
        before = calls.fstat(fd)
        if not same_moment(before, expected):
            return None
        earlier = None if cuts is None else cuts.earlier(path)
        content = content_of(calls, fd, before.st_size, known_text, earlier)
    finally:
        calls.close(fd)
    # By the name, not the descriptor: a save by rename leaves the old file as it was.
    if content is None or not same_moment(before, calls.lstat(name, dir_fd)):
        return None
    if cuts is not None and isinstance(content, BlobContent) and before.st_size > REMEMBERED_FROM_BYTES:
        cuts.remember(path, content.manifest)
    return Present(fingerprint_of(before), content)


def _link(calls: Kernel, dir_fd: int, name: str, path: str, status: os.stat_result) -> Seen | None:
    target = calls.readlink(name, dir_fd)
    if not same_moment(status, calls.lstat(name, dir_fd)):
        return None
    problem = link_problem(path, target)
    if problem is not None:
        return Unshareable(problem)
    return Present(fingerprint_of(status), LinkContent(target, digest_of(target.encode("utf-8"))))


def link_problem(path: str, target: str) -> str | None:
    """Why the link at ``path`` is not shared, or None."""
    try:
        encoded = target.encode("utf-8")
    except UnicodeEncodeError:
        return "a link whose target is not UTF-8: stays here only"
    if len(encoded) > limits.LINK_TARGET_MAX_BYTES:
        return f"a link whose target is longer than {limits.LINK_TARGET_MAX_BYTES} bytes: stays here only"
    return "a link that leads out of the folder: stays here only" if link_leads_out(path, target) else None


def content_of(
    calls: Kernel, fd: int, size_bytes: int, known_text: bool, earlier: Earlier | None = None
) -> Content | None:
    """The content of an open file of that size; None when it turns out to have another size."""
    bound = limits.TEXT_REMAINS_MAX_BYTES if known_text else limits.TEXT_BECOMES_MAX_BYTES
    if size_bytes > bound:
        manifest = manifest_of_file(fd, calls=calls, earlier=earlier)
        return BlobContent(manifest) if manifest.size_bytes == size_bytes else None
    data = read_all(calls, fd, size_bytes)
    if len(data) != size_bytes:
        return None
    text = classify(data, known_text)
    if text is not None:
        return TextContent(text, digest_of(data))
    return BlobContent(manifest_of_bytes(data), *beginning(data))


def read_all(calls: Kernel, fd: int, size_bytes: int) -> bytes:
    """The file's bytes; at most one more than ``size_bytes``, which tells that it has grown."""
    data = calls.read(fd, size_bytes + 1)
    if len(data) == size_bytes:
        return data  # a short read of a regular file is its end
    parts = [data]
    wanted = size_bytes + 1 - len(data)
    while wanted > 0 and (data := calls.read(fd, wanted)):
        parts.append(data)
        wanted -= len(data)
    return b"".join(parts)


def digest_of_file(calls: Kernel, fd: int) -> Digest:
    """The digest of an open file from its current position to its end, in bounded memory."""
    hasher = blake3()
    asked_bytes = _FIRST_READ_BYTES
    while data := calls.read(fd, asked_bytes):  # not every file system ends a file with its first short read
        hasher.update(data)
        asked_bytes = _READ_BYTES
    return Digest(hasher.hexdigest())


def same_moment(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two stats are of one file, with nothing done to it between them."""
    return (
        one.st_ino == other.st_ino
        and one.st_dev == other.st_dev
        and one.st_size == other.st_size
        and one.st_mtime_ns == other.st_mtime_ns
        and one.st_ctime_ns == other.st_ctime_ns
    )
