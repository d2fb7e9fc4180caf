"""The pipes of the editor bridge: the editor on stdin and stdout, the replica on a unix socket.

Without an event loop library, so that an editor does not wait for the bridge to start. Connects again when
the replica is back; what is said is the bridge's matter.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from contextlib import suppress
from typing import Final

from crdtsync.adapters.control_client import find_joined, socket_address
from crdtsync.core.editor.bridge import Bridge, BridgeError
from crdtsync.core.editor.framing import Unframer, framed
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import FolderError

SOCKET_NAME: Final = "editors"
_READ_BYTES: Final = 1 << 16
_RETRY_FIRST_S: Final = 0.1
_RETRY_MAX_S: Final = 2.0
_STDIN: Final = 0
_STDOUT: Final = 1


class EditorPipes:
    """Runs until the editor closes its end."""

    def __init__(self, directory: str) -> None:
        """Connects. Raises FolderError if no replica runs for the folder."""
        self._joined = find_joined(directory)
        self._bridge = Bridge(os.urandom(8).hex(), self._to_editor, self._to_replica)
        self._unframer = Unframer()
        self._socket: socket.socket | None = None
        self._heard = bytearray()
        self._for_editor = bytearray()
        self._for_replica = bytearray()
        self._retry_at = 0.0
        self._retry_s = _RETRY_FIRST_S
        if not self._connect():
            shown = printable(str(self._joined))
            raise FolderError(f"no replica runs for {shown}; start one with: crdtsync join ROOM {shown}")

    def run(self) -> None:
        """Raises BridgeError, and BrokenPipeError when the editor reads no more."""
        os.set_blocking(_STDOUT, False)
        while True:
            reading: list[int] = [_STDIN]
            writing: list[int] = [_STDOUT] if self._for_editor else []
            timeout_s: float | None = None
            if self._socket is not None:
                reading.append(self._socket.fileno())
                if self._for_replica:
                    writing.append(self._socket.fileno())
            else:
                timeout_s = max(0.0, self._retry_at - time.monotonic())
            readable, writable, _ = select.select(reading, writing, [], timeout_s)
            if _STDIN in readable and not self._read_editor():
                break
            if self._socket is not None and self._socket.fileno() in readable:
                self._read_replica()
            elif self._socket is None and time.monotonic() >= self._retry_at:
                self._connect()
            if _STDOUT in writable:
                self._write_editor()
            if self._socket is not None and self._socket.fileno() in writable:
                self._write_replica()
        self._end()

    # -- the editor -----------------------------------------------------------------------------------

    def _read_editor(self) -> bool:
        """False at the end."""
        data = os.read(_STDIN, _READ_BYTES)
        for body in self._unframer.feed(data):
            self._bridge.from_editor(body)
        return bool(data)

    def _to_editor(self, message: str) -> None:
        self._for_editor += framed(message)
        if len(self._for_editor) > limits.EDITOR_QUEUE_MAX_BYTES:
            raise BridgeError("the editor does not read what it is told")
        self._write_editor()

    def _write_editor(self) -> None:
        with suppress(BlockingIOError):
            del self._for_editor[: os.write(_STDOUT, self._for_editor)]

    # -- the replica ------------------------------------------------------------------------------------

    def _connect(self) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket_address(self._joined / STATE_FOLDER, SOCKET_NAME) as address:
                connection.connect(address)
        except OSError:
            connection.close()
            self._retry_at = time.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, _RETRY_MAX_S)
            return False
        connection.setblocking(False)
        self._socket = connection
        self._retry_s = _RETRY_FIRST_S
        self._heard.clear()
        self._for_replica.clear()
        self._bridge.connected()
        return True

    def _read_replica(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._heard += data
        while (end := self._heard.find(b"\n")) >= 0:
            line = bytes(self._heard[:end])
            del self._heard[: end + 1]
            self._bridge.from_replica(line)

    def _to_replica(self, message: str) -> None:
        self._for_replica += message.encode("utf-8", "replace") + b"\n"
        self._write_replica()

    def _write_replica(self) -> None:
        if self._socket is None:
            return
        try:
            del self._for_replica[: self._socket.send(self._for_replica)]
        except BlockingIOError:
            pass
        except OSError:
            self._for_replica.clear()  # reading tells that it is gone

    def _lost(self) -> None:
        assert self._socket is not None
        self._socket.close()
        self._socket = None
        self._bridge.disconnected()
        self._retry_at = time.monotonic() + _RETRY_FIRST_S
        print(
            "crdtsync: the replica has ended; what you type is kept here until it runs again",
            file=sys.stderr,
            flush=True,
        )

    def _end(self) -> None:
        """The editor is gone: give the replica what it has not got yet, for a moment."""
        if self._socket is not None and self._for_replica:
            self._socket.settimeout(1.0)
            with suppress(OSError):
                self._socket.sendall(self._for_replica)
        if self._bridge.unconfirmed and self._socket is None:
            raise BridgeError(
                "the editor has ended before the replica was back: its last edits are not shared"
            )
