"""All who type in pages of one room, what they lose with a page, and what their pages must show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from crdtsync.core.text.classify import classify
from crdtsync.testing.hocuspocus_page import HocuspocusPage, HocuspocusSocket
from crdtsync.testing.oracles import Broken, check_page, picture
from crdtsync.testing.page import Page
from crdtsync.testing.setting import Setting
from crdtsync.testing.tokens import tokens
from crdtsync.testing.typists import OpenPage, Typist
from crdtsync.testing.unkept import Unkept
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from crdtsync.testing.yjs_page import YjsPage

Until = Callable[[Callable[[], bool], float, str], None]
"""Let time pass until that holds, at most so many seconds; raises Broken."""


class Pages:
    """``sockets`` are those of all rooms."""

    def __init__(
        self,
        setting: Setting,
        replicas: Sequence[VirtualReplica],
        unkept: Unkept,
        sockets: list[HocuspocusSocket],
    ) -> None:
        self.typists: list[Typist] = []
        self._setting = setting
        self._replicas = replicas
        self._unkept = unkept
        unkept.holders.append(self._held)
        self._sockets = sockets

    def open(self, alone: int, together: int) -> None:
        """So many people open a page each with a connection of its own, so many at one that they share."""
        for number in range(alone):
            self._come(f"{self._setting.prefix}p{number}", self._open_alone)
        for number in range(together):
            self._come(f"{self._setting.prefix}h{number}", self._open_together)

    def _come(self, name: str, open_page: OpenPage) -> None:
        its = self._setting
        self.typists.append(
            Typist(
                name,
                its.clock,
                its.streams[f"typist {name}"],
                its.trace,
                its.ledger,
                self.paths,
                self._unkept.something_went,
                open_page,
            )
        )

    def _open_alone(self, name: str, rng: Random, path: str, latency_s: float) -> Page:
        its = self._setting
        return YjsPage(name, its.clock, rng, its.trace, its.hub, its.room, path, latency_s)

    def _open_together(self, name: str, rng: Random, path: str, latency_s: float) -> Page:
        """At a connection that is there, if there is one that takes it."""
        its = self._setting
        self._sockets[:] = [socket for socket in self._sockets if socket.pages]
        session = f"{rng.getrandbits(32):x}" if rng.random() < 0.5 else ""
        for socket in self._sockets:
            if socket.takes(its.room, path, session):
                break
        else:
            socket = HocuspocusSocket(its.clock, rng, its.hub, latency_s)
            self._sockets.append(socket)
        return HocuspocusPage(name, its.clock, rng, its.trace, socket, its.room, path, session)

    def paths(self) -> list[str]:
        """Of the texts on all disks."""
        return sorted(
            {
                path
                for replica in self._replicas
                for path, node in replica.disk.files()
                if node.kind is NodeKind.FILE and classify(node.data, known_text=True) is not None
            }
        )

    def _held(self) -> Iterable[tuple[str, Iterable[str]]]:
        for typist in self.typists:
            yield typist.name, [typist.page.text] if typist.page.open else []

    def calm(self, until: Until) -> None:
        """From here on the network works, and everyone is there."""
        for typist in self.typists:
            typist.page.go_online()
        until(self._rest, 30.0, "connecting pages")

    def _rest(self) -> bool:
        return all(typist.page.settled or not typist.page.open for typist in self.typists)

    def activity(self) -> tuple[object, ...]:
        return tuple(typist.page.text for typist in self.typists)

    def judge(self, until: Until) -> None:
        """The pages that are open, and one that is opened just now."""
        its = self._setting
        rng = its.streams[f"{its.prefix}pages"]
        for typist in self.typists:
            check_page(typist.page, its.hub.store, its.hub.restored)
            if typist.page.refused is not None:
                its.ledger.stays_in_page(typist.page.text)
        paths = self.paths()
        if not self.typists or not paths:
            return
        with_someone = sorted({typist.page.path for typist in self.typists} & {*paths})
        path = rng.choice(with_someone or paths)
        page = (self._open_together if self._sockets else self._open_alone)(
            f"{its.prefix}pn", rng, path, 0.001
        )
        page.announce({"user": {"name": page.name}})
        until(lambda: page.settled or not page.open, 30.0, f"loading {path} in a page")
        check_page(page, its.hub.store, its.hub.restored)
        expected = {shown: data for shown, (_, data, _) in picture(self._replicas[0]).items()}
        if page.open and path in expected and page.text.encode() != expected[path]:
            raise Broken("page", f"{path} is {page.text!r} in a page and {expected[path]!r} on disk")
        page.close()

    def take_turn(self, typist: Typist, settle: Callable[[], None]) -> None:
        """One of them types while everyone is at rest: nothing else changes, whatever comes back by that."""
        if not typist.page.open:
            return
        before = picture(self._replicas[0])
        seen = tokens(typist.page.text.encode())
        typist.perform("type_line")
        settle()
        now = tokens(typist.page.text.encode())
        check_page(typist.page, self._setting.hub.store, self._setting.hub.restored)
        there = {token for _, data, _ in picture(self._replicas[0]).values() for token in tokens(data)}
        kept = {token for _, data, _ in before.values() for token in tokens(data)}
        if missing := (kept | (now if now != seen else set())) - there:
            raise Broken("serial", f"{sorted(missing)} of {typist.page.path} are in no file")
