"""Tells when an address of this machine changes (Linux netlink), so that a waiting reconnect can try.

Knows nothing of hubs. Elsewhere than on Linux nothing is told, and reconnects go by their own clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable

_LINK, _IPV4_ADDRESS, _IPV6_ADDRESS = 0x1, 0x10, 0x100


class NetworkChanges:
    """Calls ``changed`` on the loop for each change, until closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        self._loop = loop
        self._changed = changed
        self._socket: socket.socket | None = None
        if sys.platform != "linux":
            return
        try:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            opened.bind((0, _LINK | _IPV4_ADDRESS | _IPV6_ADDRESS))
            opened.setblocking(False)
        except OSError:
            return  # a sandbox without netlink: the clock alone decides
        self._socket = opened
        loop.add_reader(opened.fileno(), self._read)

    def close(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):
            while self._socket.recv(65536):
                pass
        self._changed()
