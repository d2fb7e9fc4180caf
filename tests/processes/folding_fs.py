"""A file system of the kernel's own kind that takes several names for one: FUSE, spoken without a library.

``python -m tests.processes.folding_fs MODE BACKING TARGET`` shows the folder BACKING at TARGET until it is
unmounted. MODE: ``case`` and ``both`` fold these; ``decomposing`` gives names back in form NFD, as HFS+ does.
Frames as in Linux' include/uapi/linux/fuse.h, version 7.31.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from unicodedata import normalize

from crdtsync.core.values.folding import Folding

MODES = {
    "case": Folding(case=True),
    "both": Folding(case=True, form=True),
    "decomposing": Folding(case=True, form=True),
}
_WRITE_MAX = 128 * 1024
_ROOT = 1
_libc = ctypes.CDLL(None, use_errno=True)


def mount(target: str, fuse_fd: int) -> None:
    """Raises OSError where this is not allowed."""
    options = f"fd={fuse_fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
    if _libc.mount(b"folding", os.fsencode(target), b"fuse", 6, options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target: str) -> None:
    """At once for whoever comes after, and for good once nobody has anything in it open."""
    _libc.umount2(os.fsencode(target), 2)


class FoldingFileSystem:
    """Answers the kernel's requests from a folder of another file system."""

    def __init__(self, mode: str, backing: str) -> None:
        self._folding = MODES[mode]
        self._decomposes = mode == "decomposing"
        root = os.open(backing, os.O_PATH | os.O_DIRECTORY)
        self._fds: dict[int, int] = {_ROOT: root}
        self._nodes: dict[tuple[int, int], int] = {self._file(root): _ROOT}
        self._lookups: dict[int, int] = {}
        self._next = _ROOT
        self._handlers: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup,
            3: self._getattr,
            4: self._setattr,
            5: lambda node, _: os.fsencode(os.readlink("", dir_fd=self._fds[node])),
            6: self._symlink,
            8: self._mknod,
            9: self._mkdir,
            10: lambda node, data: self._remove(node, data, os.unlink),
            11: lambda node, data: self._remove(node, data, os.rmdir),
            12: lambda node, data: self._rename(node, struct.unpack_from("<Q", data)[0], 0, data[8:]),
            13: self._link,
            14: self._open,
            15: lambda _, data: os.pread(*self._span(data)),
            16: self._write,
            17: self._statfs,
            18: self._release,
            20: self._fsync,
            25: lambda *_: b"",
            26: self._init,
            27: lambda node, _: struct.pack("<QII", 0, 0, 0),
            28: self._readdir,
            29: lambda *_: b"",
            30: lambda *_: b"",
            35: self._create,
            45: self._rename2,
        }

    def serve(self, fuse_fd: int) -> None:
        """Until it is unmounted."""
        while True:
            try:
                request = os.read(fuse_fd, _WRITE_MAX + 8192)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue  # the request was interrupted
                return
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if opcode in (2, 42, 36):  # FORGET, BATCH_FORGET, INTERRUPT: no answer
                self._forget(opcode, node, request[40:])
                continue
            code, answer = 0, b""
            try:
                answer = self._handlers[opcode](node, request[40:])
            except KeyError:
                code = -errno.ENOSYS
            except OSError as error:
                code = -(error.errno or errno.EIO)
            with suppress(FileNotFoundError):  # the asker does not wait any more
                os.write(fuse_fd, struct.pack("<IiQ", 16 + len(answer), code, unique) + answer)

    # -- names ------------------------------------------------------------------------------------------

    def _found(self, node: int, raw: bytes) -> str:
        """The name in the backing folder that the kernel's name leads to, or would get."""
        name = os.fsdecode(raw)
        key = self._folding.key(name)
        for listed in os.listdir(f"/proc/self/fd/{self._fds[node]}"):
            if self._folding.key(listed) == key:
                return listed
        return normalize("NFD", name) if self._decomposes else name

    def _file(self, fd: int) -> tuple[int, int]:
        status = os.fstat(fd)
        return status.st_dev, status.st_ino

    def _attributes(self, status: os.stat_result) -> bytes:
        times = [status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns]
        return struct.pack(
            "<6Q10I",
            status.st_ino,
            status.st_size,
            status.st_blocks,
            *(each // 10**9 for each in times),
            *(each % 10**9 for each in times),
            status.st_mode,
            status.st_nlink,
            status.st_uid,
            status.st_gid,
            status.st_rdev,
            4096,
            0,
        )

    def _entry(self, node: int, name: str) -> bytes:
        """A node for what is at the name; nothing that the kernel may keep in mind."""
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._fds[node])
        file = self._file(fd)
        known = self._nodes.get(file)
        if known is None:
            self._next += 1
            known = self._nodes[file] = self._next
            self._fds[known] = fd
        else:
            os.close(fd)
        self._lookups[known] = self._lookups.get(known, 0) + 1
        return struct.pack("<4Q2I", known, 0, 0, 0, 0, 0) + self._attributes(os.fstat(self._fds[known]))

    def _forget(self, opcode: int, node: int, data: bytes) -> None:
        if opcode == 2:
            gone = [(node, struct.unpack_from("<Q", data)[0])]
        elif opcode == 42:
            count = struct.unpack_from("<I", data)[0]
            gone = [struct.unpack_from("<QQ", data, 8 + 16 * number) for number in range(count)]
        else:
            return
        for each, times in gone:
            self._lookups[each] = self._lookups.get(each, 0) - times
            if self._lookups[each] <= 0 and each != _ROOT:
                fd = self._fds.pop(each)
                del self._nodes[self._file(fd)], self._lookups[each]
                os.close(fd)

    # -- requests ---------------------------------------------------------------------------------------

    def _init(self, _: int, data: bytes) -> bytes:
        major, _, readahead, _ = struct.unpack_from("<4I", data)
        return struct.pack("<4I2H2I2H8I", major, 31, readahead, 0, 8, 8, _WRITE_MAX, 1, 32, *[0] * 9)

    def _lookup(self, node: int, data: bytes) -> bytes:
        return self._entry(node, self._found(node, data.rstrip(b"\0")))

    def _getattr(self, node: int, _: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(os.fstat(self._fds[node]))

    def _setattr(self, node: int, data: bytes) -> bytes:
        valid, _, handle, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = (
            struct.unpack_from("<II6Q8I", data)
        )
        path = f"/proc/self/fd/{self._fds[node]}"
        if valid & 1:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & 6:
            os.chown(path, uid if valid & 2 else -1, gid if valid & 4 else -1)
        if valid & 8:
            os.truncate(handle if valid & 64 else path, size)
        if valid & 0x180:  # now
            os.utime(path)
        elif valid & 0x30:
            status = os.stat(path)
            accessed = atime * 10**9 + atime_ns if valid & 16 else status.st_atime_ns
            modified = mtime * 10**9 + mtime_ns if valid & 32 else status.st_mtime_ns
            os.utime(path, ns=(accessed, modified))
        return self._getattr(node, b"")

    def _symlink(self, node: int, data: bytes) -> bytes:
        raw, target = data.split(b"\0")[:2]
        name = self._found(node, raw)
        os.symlink(os.fsdecode(target), name, dir_fd=self._fds[node])
        return self._entry(node, name)

    def _mknod(self, node: int, data: bytes) -> bytes:
        mode, device = struct.unpack_from("<II", data)
        name = self._found(node, data[16:].rstrip(b"\0"))
        os.mknod(name, mode, device, dir_fd=self._fds[node])
        return self._entry(node, name)

    def _mkdir(self, node: int, data: bytes) -> bytes:
        (mode,) = struct.unpack_from("<I", data)
        name = self._found(node, data[8:].rstrip(b"\0"))
        os.mkdir(name, mode, dir_fd=self._fds[node])
        return self._entry(node, name)

    def _remove(self, node: int, data: bytes, how: Callable[..., None]) -> bytes:
        how(self._found(node, data.rstrip(b"\0")), dir_fd=self._fds[node])
        return b""

    def _rename(self, node: int, target: int, flags: int, data: bytes) -> bytes:
        old, new = data.split(b"\0")[:2]
        names = os.fsencode(self._found(node, old)), os.fsencode(self._found(target, new))
        if _libc.renameat2(self._fds[node], names[0], self._fds[target], names[1], flags) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return b""

    def _rename2(self, node: int, data: bytes) -> bytes:
        target, flags = struct.unpack_from("<QI", data)
        return self._rename(node, target, flags, data[16:])

    def _link(self, node: int, data: bytes) -> bytes:
        (old,) = struct.unpack_from("<Q", data)
        name = self._found(node, data[8:].rstrip(b"\0"))
        os.link(f"/proc/self/fd/{self._fds[old]}", name, dst_dir_fd=self._fds[node], follow_symlinks=True)
        return self._entry(node, name)

    def _open(self, node: int, data: bytes) -> bytes:
        (flags,) = struct.unpack_from("<I", data)
        fd = os.open(f"/proc/self/fd/{self._fds[node]}", flags & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))
        return struct.pack("<QII", fd, 0, 0)

    def _create(self, node: int, data: bytes) -> bytes:
        flags, mode = struct.unpack_from("<II", data)
        name = self._found(node, data[16:].rstrip(b"\0"))
        fd = os.open(name, flags | os.O_CREAT, mode, dir_fd=self._fds[node])
        return self._entry(node, name) + struct.pack("<QII", fd, 0, 0)

    @staticmethod
    def _span(data: bytes) -> tuple[int, int, int]:
        handle, offset, size = struct.unpack_from("<QQI", data)
        return handle, size, offset

    def _write(self, _: int, data: bytes) -> bytes:
        handle, size, offset = self._span(data)
        return struct.pack("<II", os.pwrite(handle, data[40 : 40 + size], offset), 0)

    def _release(self, _: int, data: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", data)[0])
        return b""

    def _fsync(self, _: int, data: bytes) -> bytes:
        os.fsync(struct.unpack_from("<Q", data)[0])
        return b""

    def _statfs(self, node: int, _: bytes) -> bytes:
        found = os.statvfs(f"/proc/self/fd/{self._fds[node]}")
        blocks = found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree
        return struct.pack("<5Q10I", *blocks, found.f_bsize, 255, found.f_frsize, *[0] * 7)

    def _readdir(self, node: int, data: bytes) -> bytes:
        _, size, offset = self._span(data)
        found = b""
        with os.scandir(f"/proc/self/fd/{self._fds[node]}") as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for number, entry in enumerate(listed[offset:], offset + 1):
            name = os.fsencode(entry.name)
            kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode) >> 12
            record = struct.pack("<QQII", entry.inode(), number, len(name), kind) + name
            record += b"\0" * (-len(record) % 8)
            if len(found) + len(record) > size:
                break
            found += record
        return found


def main(mode: str, backing: str, target: str) -> None:
    fuse_fd = os.open("/dev/fuse", os.O_RDWR)
    served = FoldingFileSystem(mode, backing)
    mount(target, fuse_fd)
    print("mounted", flush=True)
    served.serve(fuse_fd)


if __name__ == "__main__":
    main(*sys.argv[1:])
