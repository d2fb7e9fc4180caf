"""Blobs on their way between a replica and its hub: piece by piece, each at its time, while the way is open.

A piece that arrived stays there: whatever interrupts a transfer, it goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.testing.virtual_disk import VirtualDisk
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_kernel import Killed

RETRY_S: Final = 1.0
WHOLE_BYTES: Final = 1 << 40
"""A piece of this size holds any blob."""


class VirtualTransfers:
    """``later`` does something after so many seconds (None: the time that a piece takes), unless the process
    has ended by then. ``reaches_hub``: whether the way is open. ``stage`` may raise OSError or Killed.
    """

    def __init__(
        self,
        hub: VirtualHub,
        room: str,
        disk: VirtualDisk,
        emit: Callable[[ev.Event], None],
        later: Callable[[float | None, Callable[[], None]], None],
        reaches_hub: Callable[[], bool],
        stage: Callable[[Digest, bytes], None],
    ) -> None:
        self.piece_bytes = WHOLE_BYTES
        self._hub = hub
        self._room = room
        self._disk = disk
        self._emit = emit
        self._later = later
        self._reaches_hub = reaches_hub
        self._stage = stage
        self._tickets: dict[Digest, int] = {}
        """The latest fetch of each blob; an older one ends."""
        self._parts: dict[Digest, bytes] = {}
        """What has come of each blob: files in staging."""

    def end(self) -> None:
        """The process has ended."""
        self._tickets.clear()

    def forget_parts(self) -> None:
        """Staging is emptied."""
        self._parts.clear()

    def upload(self, effect: ef.Upload) -> None:
        self._later(None, lambda: self._send(effect, 0))

    def fetch(self, digest: Digest) -> None:
        ticket = self._new_ticket(digest)
        self._later(None, lambda: self._receive(digest, ticket))

    def cancel(self, digest: Digest) -> None:
        self._new_ticket(digest)

    def _new_ticket(self, digest: Digest) -> int:
        self._tickets[digest] = self._tickets.get(digest, 0) + 1
        return self._tickets[digest]

    def _send(self, effect: ef.Upload, at: int) -> None:
        digest = effect.manifest.digest
        key = self._room, digest
        if not self._reaches_hub():
            self._later(RETRY_S, lambda: self._send(effect, at))
            return
        if key not in self._hub.blobs:
            node = self._disk.get(effect.path)
            if node is None or node.digest != digest:
                self._emit(ev.UploadFailed(digest, f"{effect.path} changed while it was sent", True))
                return
            pieces = _pieces(node.data, self.piece_bytes)
            held = self._hub.pieces.setdefault(key, set())
            held.add(digest_of(pieces[at]))
            missing = [number for number, piece in enumerate(pieces) if digest_of(piece) not in held]
            if missing:
                self._later(None, lambda: self._send(effect, missing[0]))
                return
            self._hub.blobs[key] = node.data
            del self._hub.pieces[key]
        self._emit(ev.Uploaded(digest, digest))

    def _receive(self, digest: Digest, ticket: int) -> None:
        if self._tickets.get(digest) != ticket:
            return
        if not self._reaches_hub():
            self._later(RETRY_S, lambda: self._receive(digest, ticket))
            return
        data = self._hub.blobs.get((self._room, digest))
        if data is None:
            self._emit(ev.FetchFailed(digest, "the hub does not have it", True))
            return
        part = data[: len(self._parts.get(digest, b"")) + self.piece_bytes]
        self._parts[digest] = part
        if part != data:
            self._later(None, lambda: self._receive(digest, ticket))
            return
        try:
            self._stage(digest, data)
        except OSError:
            self._later(RETRY_S, lambda: self._receive(digest, ticket))
        except Killed:
            return
        else:
            del self._parts[digest]
            self._emit(ev.Fetched(digest))


def _pieces(data: bytes, size_bytes: int) -> list[bytes]:
    return [data[at : at + size_bytes] for at in range(0, len(data), size_bytes)] or [b""]
