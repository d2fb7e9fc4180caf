"""Worlds in which editors, Yjs clients, tools and people at several folders all edit one file: ``python -m
crdtsync.testing.editing --seeds N --first-seed K``. Replicas and hub are killed, links cut; all end equal."""

from __future__ import annotations

import argparse
import sys
from random import Random

from crdtsync.testing.campaign import Told, campaign, options_of, told_of
from crdtsync.testing.clock import Clock, Streams, Trace
from crdtsync.testing.hocuspocus_page import HocuspocusPage, HocuspocusSocket
from crdtsync.testing.oracles import Broken, check_page
from crdtsync.testing.page import Page
from crdtsync.testing.plugins import VirtualEditor
from crdtsync.testing.tokens import FIRST_TOKEN
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from crdtsync.testing.yjs_page import YjsPage

PATH = "a.md"
START = "one\ntwo\nthree\n"
FAULTS = ("kill", "kill_within", "cut", "offline", "hub_kill")
HOCUSPOCUS_SHARE = 0.3
"""Of pages; the others speak y-websocket."""


class EditingWorld:
    """Every token is one character that is typed or saved once, and stands once in the end."""

    def __init__(self, seed: int, *, shown: bool = False) -> None:
        streams = Streams(seed)
        self._rng = rng = streams["editing"]
        self.clock = Clock()
        trace = Trace(self.clock, shown=print if shown else None)
        self.hub = VirtualHub(self.clock, streams["hub"], trace)
        self.replicas = [
            VirtualReplica(name, self.clock, streams[f"replica {name}"], trace, self.hub)
            for name in "abc"[: rng.choice((2, 2, 3))]
        ]
        for replica in self.replicas:
            replica.link.latency_s = rng.choice((0.0005, 0.005, 0.1))
            replica.work_s = rng.choice((0.0003, 0.003, 0.03))
        self._streams = streams
        self._faults = [fault for fault in FAULTS if rng.random() < 0.4]
        self.editors: list[VirtualEditor] = []
        self.pages: list[Page] = []
        self._rng_of_pages = streams["pages"]
        self._trace = trace
        self._tokens: list[str] = []
        self.acts = 0

    def run(self) -> None:
        """Raises Broken when a promise is not kept."""
        rng = self._rng
        self.hub.start()
        for replica in self.replicas:
            replica.start()
        first = self.replicas[0].disk
        first.put(PATH, first.new_inode(NodeKind.FILE, START.encode()))
        self._settle()
        for number in range(rng.choice((2, 2, 3))):
            replica = rng.choice(self.replicas)
            stream = self._streams[f"editor {number}"]
            self.editors.append(VirtualEditor(replica, self.clock, stream, PATH, START))
        for number in range(self._rng_of_pages.choice((0, 1, 1, 2))):
            stream, latency_s = self._streams[f"page {number}"], self._rng_of_pages.choice((0.0005, 0.05))
            self.pages.append(self._page(f"p{number}", stream, latency_s))
        for _ in range(rng.choice((10, 30, 60))):
            self._act()
            if self.pages and self._rng_of_pages.random() < 0.4:
                self._act_in(self._rng_of_pages.choice(self.pages))
            self._wait(rng.choice((0.0, 0.01, 0.05, 0.3, 2.0)))
        self._calm()
        self._settle()
        self._judge()

    def _page(self, name: str, stream: Random, latency_s: float) -> Page:
        if self._streams["hocuspocus"].random() < HOCUSPOCUS_SHARE:
            socket = HocuspocusSocket(self.clock, stream, self.hub, latency_s)
            return HocuspocusPage(name, self.clock, stream, self._trace, socket, "room", PATH)
        return YjsPage(name, self.clock, stream, self._trace, self.hub, "room", PATH, latency_s)

    def _act(self) -> None:
        rng = self._rng
        self.acts += 1
        token = chr(FIRST_TOKEN + self.acts)
        kind = rng.randrange(10)
        if kind == 0:
            self._save(rng.choice(self.replicas), token)
        elif kind == 1 and self._faults:
            self._fault(rng.choice(self._faults))
        elif kind == 2:
            plugin = rng.choice(self.editors).plugin
            at = plugin.buffer.find(rng.choice(("one", "two", "three")))
            if at >= 0:
                plugin.replace(at, at + 2, "")
        else:
            plugin = rng.choice(self.editors).plugin
            at = rng.randint(0, len(plugin.buffer))
            plugin.replace(at, at, token + rng.choice(("", "", "\n")))
            self._tokens.append(token)

    def _act_in(self, page: Page) -> None:
        """Someone in a page types, takes out a part of the first text, or loses the network for a while."""
        rng = self._rng_of_pages
        if not page.text:
            return  # not loaded yet
        self.acts += 1
        match rng.randrange(8):
            case 0:
                at = page.text.find(rng.choice(("one", "two", "three")))
                if at >= 0:
                    page.replace(at, at + 2, "")
            case 1 if self._faults:
                page.go_offline()
                self.clock.after(rng.choice((0.05, 0.5, 5.0)), page.go_online)
            case 2:
                page.announce({"user": {"name": page.name}})
            case _:
                token = chr(FIRST_TOKEN + self.acts)
                at = rng.randint(0, len(page.text))
                page.replace(at, at, token + rng.choice(("", "", "\n")))
                self._tokens.append(token)

    def _save(self, replica: VirtualReplica, token: str) -> None:
        """A tool reads the file, adds a line and writes it."""
        node = replica.disk.get(PATH)
        if node is None:
            return
        lines = node.data.decode().split("\n")
        lines.insert(self._rng.randrange(len(lines)), token)
        replica.disk.write_into(node, "\n".join(lines).encode())
        self._tokens.append(token)

    def _fault(self, fault: str) -> None:
        rng = self._rng
        replica = rng.choice(self.replicas)
        back_s = rng.choice((0.05, 0.5, 3.0))
        match fault:
            case "kill":
                replica.kill()
                self.clock.after(back_s, lambda: self._restart(replica))
            case "kill_within":
                replica.kill_within_effects(rng.randrange(12))
                self.clock.after(back_s, lambda: self._restart(replica))
            case "cut":
                replica.link.cut()
            case "offline":
                replica.link.unplug()
                self.clock.after(back_s, lambda: setattr(replica.link, "online", True))
            case "hub_kill":
                self.hub.kill()
                self.clock.after(back_s, self._restart_hub)

    def _restart(self, replica: VirtualReplica) -> None:
        if not replica.running:
            replica.start()

    def _restart_hub(self) -> None:
        if not self.hub.up:
            self.hub.start()

    def _calm(self) -> None:
        self._restart_hub()
        for replica in self.replicas:
            replica.link.online = True
            replica.kill_within_effects(1 << 60)
            self._restart(replica)
        for page in self.pages:
            page.go_online()
        self._wait(20.0)

    def _settle(self) -> None:
        for _ in range(3):
            numbers = [(replica, replica.flush()) for replica in self.replicas]
            ended = self.clock.run_until(
                self.clock.now_s + 400.0,
                lambda: all(number in replica.flushed for replica, number in numbers),  # noqa: B023
            )
            if not ended:
                raise Broken("stuck", "a flush does not end")
            self._wait(3.0)

    def _wait(self, duration_s: float) -> None:
        self.clock.run_until(self.clock.now_s + duration_s)

    def _judge(self) -> None:
        texts = []
        for replica in self.replicas:
            node = replica.disk.get(PATH)
            texts.append("" if node is None else node.data.decode())
            others = [path for path, _ in replica.disk.files() if path != PATH]
            if others:
                raise Broken("copies", f"{replica.name} has {others}")
        texts += [editor.plugin.buffer for editor in self.editors]
        texts += [page.text for page in self.pages]
        if len(set(texts)) != 1:
            raise Broken("unequal", f"{texts!r}")
        wrong = {token: texts[0].count(token) for token in self._tokens if texts[0].count(token) != 1}
        if wrong:
            raise Broken("tokens", f"{wrong!r} in {texts[0]!r}")
        for page in self.pages:
            check_page(page, self.hub.store)
            if page.refused is not None:
                raise Broken("refused", page.refused)
        errors = [error for editor in self.editors for error in editor.plugin.errors]
        if errors:
            raise Broken("errors", f"{errors!r}")


def _told(seed: int, options: argparse.Namespace) -> Told:
    world = EditingWorld(seed, shown=options.trace)
    try:
        world.run()
    except Exception as error:
        replay = f"python -m crdtsync.testing.editing --seeds 1 --first-seed {seed} --trace"
        return told_of(seed, error, replay, trace=options.trace)
    return Told(acts=world.acts, events=world.clock.handled)


def main(arguments: list[str] | None = None) -> int:
    return campaign(_told, options_of("crdtsync.testing.editing", __doc__).parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
