"""A network of namespaces: the hub and each replica in one of its own, with a wire between that may fail.

A wire carries packets between two TUN devices, so that delay, loss and silence are those of a real network to
everybody's kernel; no module for them is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import select
import shutil
import struct
import subprocess
import threading
from collections.abc import Sequence
from random import Random
from typing import Final

from tests.torture.machines import clock_s

_SET_INTERFACE: Final = 0x400454CA
_TUN_WITHOUT_HEADER: Final = 0x1001
_PACKET_BYTES: Final = 65536
_QUEUE_PACKETS: Final = 2000


class Wire:
    """Between the hub and one replica. ``loss`` is a share of packets, both ways; 1.0 is silence."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ends = tuple(_tun(f"tt{os.getpid() % 10000}{number}{end}") for end in "hr")
        self.delay_s = 0.0
        self.loss = 0.0
        self.packets = 0
        self.lost = 0

    def device(self, end: int) -> str:
        return f"tt{os.getpid() % 10000}{self.number}{'hr'[end]}"


class Network:
    """``around`` is what stands before a command so that it runs in the place of its name."""

    def __init__(self, names: Sequence[str], rng: Random) -> None:
        self._rng = Random(rng.random())
        self._places = {name: f"torture{os.getpid()}{name}" for name in ("hub", *names)}
        self.around: dict[str, tuple[str, ...]] = {
            name: ("ip", "netns", "exec", place) for name, place in self._places.items()
        }
        self.hub_address = "10.213.0.1"
        self.wires: dict[str, Wire] = {}
        self._ends: dict[str, str] = {}
        for place in self._places.values():
            _ip("netns", "add", place)
            _ip("-n", place, "link", "set", "lo", "up")
        _ip("-n", self._places["hub"], "addr", "add", f"{self.hub_address}/32", "dev", "lo")
        for number, name in enumerate(names, start=1):
            wire = self.wires[name] = Wire(number)
            self._ends[name] = f"10.213.{number}.2"
            self._plug(self._places["hub"], wire.device(0), f"10.213.{number}.1", f"10.213.{number}.2/32")
            self._plug(self._places[name], wire.device(1), f"10.213.{number}.2", f"{self.hub_address}/32")
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="wires")
        self._thread.start()

    def _plug(self, place: str, device: str, own: str, other: str) -> None:
        _ip("link", "set", device, "netns", place)
        _ip("-n", place, "addr", "add", f"{own}/32", "dev", device)
        _ip("-n", place, "link", "set", device, "up")
        _ip("-n", place, "route", "add", other, "dev", device, "src", own)

    def set_link(self, wire: Wire, up: bool) -> None:
        """Unplug a replica, which it is told by its kernel, or plug it in again."""
        name = next(name for name, each in self.wires.items() if each is wire)
        place, device = self._places[name], wire.device(1)
        _ip("-n", place, "link", "set", device, "up" if up else "down")
        if up:
            _ip("-n", place, "route", "replace", f"{self.hub_address}/32", "dev", device)

    def heal(self, wire: Wire) -> None:
        wire.delay_s = wire.loss = 0.0
        self.set_link(wire, up=True)

    def _carry(self) -> None:
        """Carry packets from one end of each wire to the other, until closed."""
        ends = {wire.ends[end]: (wire, wire.ends[1 - end]) for wire in self.wires.values() for end in (0, 1)}
        poll = select.poll()
        for fd in [*ends, self._wake]:
            poll.register(fd, select.POLLIN)
        waiting: list[tuple[float, int, int, bytes]] = []
        number = 0
        while True:
            wait_ms = max(0.0, waiting[0][0] - clock_s()) * 1000 if waiting else None
            for fd, _ in poll.poll(wait_ms):
                if fd == self._wake:
                    return
                wire, other = ends[fd]
                with contextlib.suppress(OSError):  # the device is down
                    packet = os.read(fd, _PACKET_BYTES)
                    wire.packets += 1
                    if len(waiting) >= _QUEUE_PACKETS or self._rng.random() < wire.loss:
                        wire.lost += 1
                        continue
                    number += 1
                    late_s = wire.delay_s * self._rng.uniform(0.8, 1.2)
                    heapq.heappush(waiting, (clock_s() + late_s, number, other, packet))
            while waiting and waiting[0][0] <= clock_s():
                _, _, other, packet = heapq.heappop(waiting)
                with contextlib.suppress(OSError):
                    os.write(other, packet)

    def close(self) -> None:
        os.write(self._woken, b".")
        self._thread.join()
        for fd in (self._wake, self._woken, *(end for wire in self.wires.values() for end in wire.ends)):
            os.close(fd)
        for place in self._places.values():
            _ip("netns", "del", place)


def _tun(name: str) -> int:
    """The other side of a new network device: what is read was sent by it, what is written it receives."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, _SET_INTERFACE, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER))
    return fd


def _ip(*arguments: str) -> None:
    """Raises OSError when it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def may_wire() -> str | None:
    """Why there can be no such network here; None when there can."""
    if shutil.which("ip") is None:
        return "ip is not there; install it (apt-get install iproute2)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun may not be opened"
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "networks may not be made here (needs root)"
