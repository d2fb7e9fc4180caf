"""Two or three make the same change at once, and the hub is restored to before that."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from crdtsync.core.replica import judging
from crdtsync.core.replica.session import HubSession
from crdtsync.testing.clock import Clock, Streams, Timer, Trace
from crdtsync.testing.oracles import check_equal
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene

BASE = "first line of text\nsecond line of text\nthird line of text\n"
BROKE = (5, 9, 50, 52, 56, 73, 77, 79, 103, 115, 126, 157, 165, 180, 195, 221, 254, 297)
"""Where the change stood twice as long as a restored hub made replicas forget what it had not placed."""
BROUGHT = (1003, 1076, 1101, 1129, 1165, 1279, 1480, 3004, 3048)
"""... as long as whoever brought others' changes back did not judge them."""
GONE = (3123, 3271)
"""Where it was gone: of two who took one of the two back each, nobody gave it back."""
KILLED = (1081, 1173, 1219, 1280, 1286, 1306, 1358, 1376, 1385, 1400)
"""Where it stood twice with some replicas killed: whoever came back knew no order."""
TWO_HUBS = (1065, 1122, 1125, 1129, 1232, 1236, 1279, 1353, 1400, 1495, 2104)
"""Where it stood twice, or was gone, with two hubs lost in a row."""
FORMATTED = BASE.replace("of text", "of text [checked]")


@pytest.mark.parametrize(
    ("seed", "kills", "hubs"),
    [
        *((seed, False, 1) for seed in (*BROKE, *BROUGHT, *GONE)),
        *((seed, True, 1) for seed in KILLED),
        *((seed, kills, 2) for seed in TWO_HUBS for kills in (False, True)),
    ],
)
def test_the_same_change_is_there_once_whoever_brings_it_back_to_a_hub_that_lost_it(
    seed: int, kills: bool, hubs: int
) -> None:
    world = Restored(seed, kills=kills, hubs=hubs)
    world.change_alike()
    world.lose_the_hub()
    world.come_back()
    check_equal(world.replicas)
    node = world.replicas[0].disk.get("x.md")
    assert node is not None
    lines = [line for line in node.data.decode().splitlines() if not line.startswith("added")]
    assert lines == FORMATTED.splitlines()


@pytest.mark.parametrize("seed", [*BROUGHT, *GONE])
def test_the_same_change_is_there_once_though_each_judgement_takes_a_turn(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_COST_MAX", 1)
    test_the_same_change_is_there_once_whoever_brings_it_back_to_a_hub_that_lost_it(seed, False, 1)


class Restored:
    """Three replicas that hold a text, and a hub of which there is a backup; connections as the seed says."""

    def __init__(self, seed: int, *, kills: bool = False, hubs: int = 1) -> None:
        """``kills``: of some replicas. ``hubs``: so many are lost, the second after some were with it."""
        self.rng = Random(seed)
        self.kills = kills
        self.hubs = hubs
        self.clock = Clock()
        self.timers: list[Timer] = []
        streams, trace = Streams(seed), Trace(self.clock)
        self.hub = VirtualHub(self.clock, streams["hub"], trace)
        self.hub.start()
        self.replicas = [
            VirtualReplica(name, self.clock, streams[name], trace, self.hub, "plain") for name in "abc"
        ]
        for replica in self.replicas:
            replica.start()
        self.wait(2.0)
        disk = self.replicas[0].disk
        disk.put("x.md", disk.new_inode(NodeKind.FILE, BASE.encode()))
        self.wait(3.0)
        self.backup = self.hub.backup()

    def wait(self, duration_s: float) -> None:
        self.clock.run_until(self.clock.now_s + duration_s)

    def change_alike(self) -> None:
        """Some are cut off before they have heard of the others."""
        rng = self.rng
        self.hub.commit_s = rng.choice([0.001, 0.05, 0.3])
        for replica in self.replicas:
            replica.link.latency_s = rng.choice([0.001, 0.01, 0.05, 0.3, 0.6])
            if rng.random() < 0.4:
                self.timers.append(self.clock.after(rng.uniform(0.0, 1.2), replica.link.unplug))
        for replica in self.replicas[: rng.choice([2, 2, 3])]:
            more = f"added by {replica.name}\n" if rng.random() < 0.2 else ""
            delay_s = rng.choice([0.0, 0.0, 0.01, 0.1, 0.4])
            self.clock.after(delay_s, partial(self.save, replica, more + FORMATTED))
        self.wait(rng.uniform(0.02, 1.5))

    def save(self, replica: VirtualReplica, text: str) -> None:
        node = replica.disk.get("x.md")
        if node is not None and node.data == BASE.encode():
            replica.disk.write_into(node, text.encode())

    def lose_the_hub(self) -> None:
        rng = self.rng
        killed = [replica for replica in self.replicas if self.kills and rng.random() < 0.35]
        for replica in killed:
            if rng.random() < 0.5:
                replica.kill()
        self.hub.kill()
        self.hub.restore(self.backup)
        self.wait(rng.choice([0.0, 0.2, 1.0]))
        for replica in killed:
            if replica.engine is not None:
                replica.kill()
            if rng.random() < 0.5:
                replica.start()

    def lose_the_next_hub(self) -> None:
        rng = self.rng
        some = rng.sample(self.replicas, rng.choice([1, 2]))
        for replica in self.replicas:
            replica.link.unplug()
        self.hub.start()
        for replica in some:
            replica.link.online = True
            self.wait(rng.choice([0.0, 0.01, 0.2]))
        self.wait(rng.choice([0.05, 0.5, 3.0]))
        self.hub.kill()
        if rng.random() < 0.7:
            self.hub.restore(self.backup)

    def come_back(self) -> None:
        """One after the other, or all at once."""
        rng = self.rng
        if self.hubs == 2 and rng.random() < 0.6:
            self.lose_the_next_hub()
        for replica in self.replicas:
            if replica.engine is None:
                self.clock.after(rng.choice([0.0, 0.3, 2.0]), replica.start)
        for timer in self.timers:
            timer.cancel()
        order = rng.sample(self.replicas, len(self.replicas))
        for replica in order:
            replica.link.latency_s = rng.choice([0.001, 0.05, 0.3])
            replica.link.unplug()
        self.hub.start()
        apart_s = rng.choice([0.0, 0.01, 0.2, 5.0])
        for replica in order:
            replica.link.online = True
            self.wait(apart_s)
        self.wait(10.0)
        numbers = [(replica, replica.flush()) for replica in self.replicas]
        assert self.clock.run_until(
            self.clock.now_s + 300.0, lambda: all(number in each.flushed for each, number in numbers)
        ), "the flush does not end"
        self.wait(2.0)


def test_what_a_restored_hub_tells_before_it_is_answered_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has said what it has of a text, and is given what it lacks later, among other texts."""
    scene = Scene()
    scene.save(scene.a, "x.md", BASE)
    scene.rest()
    backup = scene.hub.backup()
    scene.a.link.unplug()
    scene.wait(1.0)
    scene.save(scene.b, "x.md", FORMATTED)
    scene.wait(1.0)
    scene.hub.kill()
    scene.hub.restore(backup)
    scene.save(scene.a, "x.md", FORMATTED)
    with monkeypatch.context() as congested:
        congested.setattr(HubSession, "eager", property(lambda session: False))
        scene.hub.start()
        scene.wait(5.0)
        scene.a.link.online = True
        scene.wait(5.0)
    scene.save(scene.a, "other.md", "something to hear of\n")
    scene.rest()
    assert scene.read(scene.a, "x.md") == FORMATTED
