"""One hub per data folder: a lock file, held by the kernel for as long as the process lives."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from crdtsync.errors import StoreError, StoreInUse


class HubLock:
    """Holds ``hub.lock`` in ``directory`` from construction to ``release``; the file itself stays."""

    def __init__(self, directory: Path) -> None:
        """Raises StoreInUse, naming the process that holds it, or StoreError."""
        path = directory / "hub.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be opened: {error.strerror}. Give the hub a folder of its own with --data."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"another hub (pid {holder})" if holder.isdigit() else "another hub"
            raise StoreInUse(
                f"{directory} is in use by {who}; stop that one, or use another folder with --data."
            ) from None
        with suppress(OSError):  # on a full disk nobody is told who holds it; the store tells of the disk
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
