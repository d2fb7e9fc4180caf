"""The real kernel: the system calls that the disk side makes, one method each.

Adds nothing to them, so that the disk code costs what its system calls cost.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import signal
import struct
import time
from typing import Final

from crdtsync.adapters.kernel import Kernel, Unsupported

_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE: Final = 2
# renameat2 in linux/include/uapi/asm-generic/unistd.h and the tables of the older architectures; for a
# libc without a wrapper (musl, glibc before 2.28).
_RENAMEAT2_NUMBERS = {
    "x86_64": 316,
    "aarch64": 276,
    "riscv64": 276,
    "loongarch64": 276,
    "i386": 353,
    "i686": 353,
    "armv7l": 382,
    "armv6l": 382,
    "ppc64le": 357,
    "s390x": 347,
}
_OPENAT2: Final = ctypes.c_long(437)
"""The same number everywhere but on Alpha (Linux 5.6); hardly any libc wraps it."""
_RESOLVE_NO_SYMLINKS: Final = 0x04
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_NO_OPENAT2 = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
"""An old kernel, or a container that knows only older calls."""


class SystemCalls(Kernel):
    """The system calls themselves."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._syscall_number = _RENAMEAT2_NUMBERS.get(platform.machine())
        self._umask = _umask()
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self._how = struct.pack("QQQ", flags, 0, _RESOLVE_NO_SYMLINKS)
        self._has_openat2 = True

    @property
    def umask(self) -> int:
        """The process's umask when this was made."""
        return self._umask

    # -- descriptors ------------------------------------------------------------------------------

    def open(self, name: str, flags: int, dir_fd: int | None = None, mode: int = 0o600) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=dir_fd)

    def open_folder(self, name: str, dir_fd: int | None = None) -> int:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)

    def open_path(self, path: str, dir_fd: int) -> int:
        if not self._has_openat2:
            raise Unsupported(errno.ENOSYS, "openat2 is unknown on this machine", path)
        how = self._how
        fd: int = self._libc.syscall(_OPENAT2, dir_fd, os.fsencode(path), how, ctypes.c_size_t(len(how)))
        if fd < 0:
            code = ctypes.get_errno()
            self._has_openat2 = code not in _NO_OPENAT2
            kind = OSError if self._has_openat2 else Unsupported
            raise kind(code, os.strerror(code), path)
        return fd

    def open_file(self, name: str, dir_fd: int) -> int:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def move_descriptor(self, fd: int, to_fd: int) -> None:
        os.dup2(fd, to_fd, inheritable=False)
        os.close(fd)

    def read(self, fd: int, size_bytes: int) -> bytes:
        return os.read(fd, size_bytes)

    def write_all(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def pread_into(self, fd: int, view: memoryview, offset: int) -> int:
        return os.preadv(fd, [view], offset)

    def truncate(self, fd: int, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)

    def lock(self, fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def syncfs(self, fd: int) -> None:
        """Make all that is on the descriptor's file system durable (Linux 5.8: errors are reported)."""
        self._check(self._libc.syncfs(fd))

    def begin_writing(self, fd: int) -> None:
        """Have the disk begin with what was written to the file, without waiting (sync_file_range(2)).

        Makes nothing durable, and so tells of no error; ``fsync`` does.
        """
        if hasattr(self._libc, "sync_file_range"):
            everything = ctypes.c_int64(0)
            self._libc.sync_file_range(fd, everything, everything, _SYNC_FILE_RANGE_WRITE)

    # -- looking ----------------------------------------------------------------------------------

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path)

    def real_path(self, path: str) -> str:
        return os.path.realpath(path)

    def lstat(self, name: str, dir_fd: int | None = None) -> os.stat_result:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def readlink(self, name: str, dir_fd: int) -> str:
        return os.readlink(name, dir_fd=dir_fd)

    def entries(self, fd: int) -> list[os.DirEntry[str]]:
        with os.scandir(fd) as found:
            return list(found)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    # -- changing names ---------------------------------------------------------------------------

    def rename(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        os.rename(name, new_name, src_dir_fd=dir_fd, dst_dir_fd=new_dir_fd)

    def rename_noreplace(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        self._renameat2(name, dir_fd, new_name, new_dir_fd, _RENAME_NOREPLACE)

    def exchange(self, name: str, dir_fd: int, other: str, other_dir_fd: int) -> None:
        self._renameat2(name, dir_fd, other, other_dir_fd, _RENAME_EXCHANGE)

    def link(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        os.link(name, new_name, src_dir_fd=dir_fd, dst_dir_fd=new_dir_fd, follow_symlinks=False)

    def symlink(self, target: str, name: str, dir_fd: int) -> None:
        os.symlink(target, name, dir_fd=dir_fd)

    def unlink(self, name: str, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)

    def mkdir(self, name: str, dir_fd: int, mode: int = 0o777) -> None:
        os.mkdir(name, mode, dir_fd=dir_fd)

    def make_folders(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def rmdir(self, name: str, dir_fd: int) -> None:
        os.rmdir(name, dir_fd=dir_fd)

    # -- permissions and attributes ---------------------------------------------------------------

    def fchmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def fchown(self, fd: int, uid: int, gid: int) -> None:
        os.fchown(fd, uid, gid)

    def attributes(self, fd: int) -> list[str]:
        return os.listxattr(fd)

    def copy_attribute(self, fd: int, to_fd: int, attribute: str) -> None:
        os.setxattr(to_fd, attribute, os.getxattr(fd, attribute))

    def open_for_writing_elsewhere(self, fd: int) -> bool | None:
        """Whether anyone can still write to this file through a descriptor or mapping; None: cannot tell.

        A read lease is refused while the file is open for writing (fcntl(2), F_SETLEASE); ``fd`` must be
        open for reading only. The lease is held for an instant; should another name of the file be opened
        in it, the kernel tells us by SIGURG, which is ignored by default (SIGIO would end the process).
        """
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return True if error.errno == errno.EAGAIN else None
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

    # -- helpers ----------------------------------------------------------------------------------

    def _renameat2(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int, flags: int) -> None:
        old, new = os.fsencode(name), os.fsencode(new_name)
        if hasattr(self._libc, "renameat2"):
            result = self._libc.renameat2(dir_fd, old, new_dir_fd, new, flags)
        elif self._syscall_number is not None:
            result = self._libc.syscall(self._syscall_number, dir_fd, old, new_dir_fd, new, flags)
        else:
            raise Unsupported(errno.ENOSYS, "renameat2 is unknown on this machine", name)
        if result != 0:
            code = ctypes.get_errno()
            kind = Unsupported if code in _UNSUPPORTED else OSError
            raise kind(code, os.strerror(code), new_name)

    @staticmethod
    def _check(result: int) -> None:
        if result != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def _umask() -> int:
    """Read without setting it, which would hold for the files of every other thread meanwhile (Linux 4.7)."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return 0o077


REAL: Final = SystemCalls()
"""For whoever needs no kernel of its own."""
