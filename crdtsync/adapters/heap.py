"""Memory that was needed for a while, as to start or to take in a large folder, and goes back to the system.

The C library keeps what was freed between things that are still in use, though pages of it hold nothing.
"""

from __future__ import annotations

import ctypes
import resource
from typing import Final

from crdtsync.core.values import limits

GROWN_BYTES: Final = 8 * limits.MiB
"""Less is not worth the milliseconds; it is soon needed again."""
LEFT_BYTES: Final = 2 * limits.MiB
"""But so much is, once the process has grown by less than ``STILL_BYTES`` since somebody looked."""
STILL_BYTES: Final = 256 * limits.KiB


def resident_bytes() -> int:
    """Of this process, of its code too. Raises OSError where there is no ``/proc``."""
    with open("/proc/self/statm", "rb") as status:
        return int(status.read().split()[1]) * resource.getpagesize()


class Heap:
    def __init__(self) -> None:
        self._resident_bytes = 0
        """After the last time."""
        self._seen_bytes = 0
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        """Of the GNU C library alone."""

    def give_back(self, *, at_once: bool = False) -> bool:
        """Give back what holds nothing if the process has grown since the last time; whether it was tried.

        To be called now and then.

        ``at_once``: much was freed just now, so it is tried in any case.

        For a worker thread: the interpreter goes on meanwhile.
        """
        try:
            resident = resident_bytes()
            grows = resident > self._seen_bytes + STILL_BYTES
            self._seen_bytes = resident
            grown = resident - self._resident_bytes
            if self._trim is None or not (at_once or grown >= (GROWN_BYTES if grows else LEFT_BYTES)):
                return False
            self._trim(0)
            self._resident_bytes = self._seen_bytes = resident_bytes()
        except OSError:
            return False
        return True
