"""Looks and scans that take time on a virtual disk: every path and every folder at an instant of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.events import Event, Looked, Scan, Scanned, ScannedFolder
from crdtsync.core.values.files import Fingerprint, Seen
from crdtsync.core.values.paths import parent
from crdtsync.testing.virtual_disk import VirtualDisk


@dataclass(slots=True)
class _Scanning:
    number: int
    left: list[str]
    files: dict[str, Fingerprint] = field(default_factory=dict)
    links: dict[str, Fingerprint] = field(default_factory=dict)
    folders: dict[str, ScannedFolder] = field(default_factory=dict)
    unshareable: dict[str, str] = field(default_factory=dict)

    def take(self, found: Scan) -> None:
        self.files.update(found.files)
        self.links.update(found.links)
        self.folders.update(found.folders)
        self.unshareable.update(found.unshareable)
        self.left += sorted(found.folders, reverse=True)

    @property
    def scan(self) -> Scan:
        return Scan(self.files, self.links, self.folders, {}, self.unshareable)


class VirtualLooker:
    """``later`` does something after a delay if the process still lives; ``tell`` takes the answers."""

    def __init__(
        self,
        disk: VirtualDisk,
        later: Callable[[float, Callable[[], None]], None],
        delay_s: Callable[[], float],
        tell: Callable[[Event], None],
    ) -> None:
        self._disk = disk
        self._later = later
        self._delay_s = delay_s
        self._tell = tell

    def look(self, paths: Sequence[LookAt]) -> None:
        """Path after path."""
        seen: list[tuple[str, Seen]] = []

        def next_one() -> None:
            wanted = paths[len(seen)]
            seen.append((wanted.path, self._disk.look(wanted.path, wanted.known_text)))
            if len(seen) < len(paths):
                self._later(self._delay_s() / 4, next_one)
            else:
                self._later(self._delay_s(), lambda: self._tell(Looked(tuple(seen))))

        self._later(self._delay_s(), next_one)

    def scan(self, number: int, below: str) -> None:
        """Folder after folder: what moves meanwhile may be missed or met twice."""
        scanning = _Scanning(number, [below])

        def next_folder() -> None:
            folder = scanning.left.pop()
            if self._disk.is_folder(folder):
                scanning.take(self._disk.list_folder(folder))
            if scanning.left:
                self._later(self._delay_s() / 4, next_folder)
            else:
                self._later(self._delay_s(), lambda: self._tell(Scanned(number, scanning.scan)))

        def begin() -> None:
            own = self._disk.list_folder(parent(below)).folders if below else {}
            if below in own:
                scanning.folders[below] = own[below]
            next_folder()

        self._later(self._delay_s(), begin)
