"""What the measures of large blobs share: has it come over, bytes on the wire, a copy by socket."""

from __future__ import annotations

import os
import socket
import threading
import time
import urllib.request
from pathlib import Path

WIRE = ("update_bytes", "sent_bytes", "blob_received_bytes", "blob_sent_bytes")


def wire_bytes(hub_url: str) -> int:
    """What the hub received and sent so far, by its own count of messages."""
    with urllib.request.urlopen(hub_url.replace("ws://", "http://") + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    counted = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return round(sum(float(counted.get(f"crdtsync_hub_{name}_total", 0)) for name in WIRE))


def byte_at(path: Path, offset: int) -> bytes:
    with open(path, "rb") as file:
        return os.pread(file.fileno(), 1, offset)


def has_byte(path: Path, size_bytes: int, offset: int, wanted: bytes) -> bool:
    """Whether the file has that size and that byte; cheap, unlike reading it."""
    try:
        with open(path, "rb") as file:
            return (
                os.fstat(file.fileno()).st_size == size_bytes and os.pread(file.fileno(), 1, offset) == wanted
            )
    except FileNotFoundError:
        return False


def socket_copy_s(source: Path, target: Path) -> float:
    """Copy through a loopback socket in pieces of 1 MiB, until durable; returns the seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send() -> None:
            with socket.create_connection(server.getsockname()) as out, open(source, "rb") as file:
                while piece := file.read(1 << 20):
                    out.sendall(piece)

        begun = time.perf_counter()
        sender = threading.Thread(target=send)
        sender.start()
        inward, _ = server.accept()
        with inward, open(target, "wb") as file:
            while piece := inward.recv(1 << 20):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        sender.join()
        return time.perf_counter() - begun
