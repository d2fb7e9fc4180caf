"""What goes wrong in a simulated world, one fault at a time, and how that passes; the world says when."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

from crdtsync.core.values.digests import encode_text
from crdtsync.core.values.reserved import reserved_path
from crdtsync.errors import StoreError
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.memory_store import MemoryReplicaStore
from crdtsync.testing.room import Room
from crdtsync.testing.trouble import ERRORS, Trouble
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_machine import VirtualMachine
from crdtsync.testing.virtual_network import VirtualLink
from crdtsync.testing.virtual_replica import VirtualReplica

DAY_S = 86_400.0


class Faults:
    def __init__(
        self,
        clock: Clock,
        rng: Random,
        trace: Trace,
        hub: VirtualHub,
        rooms: Sequence[Room],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._trace = trace
        self._hub = hub
        self._rooms = rooms
        self._backup = hub.backup()
        self._states: dict[str, MemoryReplicaStore] = {}
        """Copies of what replicas remembered."""

    def end(self) -> None:
        """From here on nothing fails, and everyone is there."""
        self._restart_hub()
        self._hub.store.full = False
        for link in self._links:
            link.bytes_per_s = None
        for replica in self._replicas:
            replica.store.failure = None
            replica.pace.overflows = 0.0
            replica.race = lambda path: None
            replica.link.online = True
            replica.trouble = None
            replica.at_primitive(1 << 60, lambda: None)
            replica.kill_within_effects(1 << 60)
            self._restart(replica)

    def happen(self, fault: str) -> None:
        """One of the kinds of a plan; it passes by itself, or at ``end``."""
        rng = self._rng
        room, replica = rng.choice([(room, replica) for room in self._rooms for replica in room.replicas])
        back_s = rng.choice([0.05, 0.5, 3.0])
        self._trace.note("----", f"fault {fault} {replica.name}")
        match fault:
            case "offline":
                replica.link.unplug()
                self._clock.after(back_s * 3, lambda: setattr(replica.link, "online", True))
            case "cut":
                replica.link.cut()
            case "kill":
                replica.kill()
                self._clock.after(back_s, lambda: self._restart(replica))
            case "kill_within":
                replica.kill_within_effects(rng.randrange(12))
                self._clock.after(back_s, lambda: self._restart(replica))
            case "kill_at":
                replica.at_primitive(rng.randrange(80), lambda: self._kill(replica, back_s))
            case "power":
                replica.at_primitive(rng.randrange(80), lambda: self._cut_power(room, replica, back_s))
            case "trouble":
                replica.trouble = Trouble(rng.choice(ERRORS), rng.choice([0.02, 0.2, 1.0]))
                self._trace.note(replica.name, f"disk meets {replica.trouble}")
                self._clock.after(back_s * 3, lambda: setattr(replica, "trouble", None))
            case "state_lost":
                self._forgets(room, replica)
                replica.kill()
                contents = [node.data for _, node in replica.disk.files()]
                room.ledger_at(replica).lost_with_state(replica.name, replica.store.texts(), contents)
                for data in [*contents, *replica.machine.saves_displaced()]:
                    room.ledger_at(replica).froze(data)
                replica.lose_state()
                room.person_at(replica).close_all()
                room.unkept.something_went()
                self._clock.after(back_s, lambda: self._restart(replica))
            case "rights":
                self._change_rights(room, back_s)
            case "slow":
                self._slow_down(rng.choice(self._links), rng.choice([100.0, 1000.0, 10_000.0]), back_s * 3)
            case "half_open":
                rng.choice(self._links).lose(rng.choice([0.0, 0.2, 2.0]), rng.choice([3.0, 30.0]))
            case "store_full":
                replica.store.failure = StoreError("The state cannot be written: no space left")
                self._clock.after(back_s * 3, lambda: setattr(replica.store, "failure", None))
            case "state_restored":
                self._restore_state(room, replica, back_s)
            case "hub_full":
                self._hub.store.full = True
                self._clock.after(back_s, lambda: setattr(self._hub.store, "full", False))
            case "clock":
                hosts: list[VirtualHub | VirtualMachine] = [
                    self._hub,
                    *(each.machine for each in self._replicas),
                ]
                host = rng.choice(hosts)
                host.ahead_s = rng.choice([-400, -2, -0.04, 0.0, 0.04, 2, 400]) * DAY_S
                self._trace.note("----", f"a clock is {host.ahead_s:g} s ahead")
            case "hub_kill":
                self._hub.kill()
                self._hub_went()
                self._clock.after(back_s, self._restart_hub)
            case "hub_restore":
                if rng.random() < 0.5:
                    self._backup = self._hub.backup()
                else:
                    self._hub.kill()
                    self._hub.restore(self._backup)
                    self._hub_went()
                    self._clock.after(back_s, self._restart_hub)
            case _:
                pass  # happens all the time

    @property
    def _replicas(self) -> list[VirtualReplica]:
        return [replica for room in self._rooms for replica in room.replicas]

    def _hub_went(self) -> None:
        for room in self._rooms:
            room.unkept.something_went()

    @property
    def _links(self) -> list[VirtualLink]:
        return [
            *(replica.link for replica in self._replicas),
            *(typist.page.link for room in self._rooms for typist in room.pages.typists),
            *(link for room in self._rooms for link in room.programs.links),
        ]

    def _slow_down(self, link: VirtualLink, bytes_per_s: float, for_s: float) -> None:
        link.bytes_per_s = bytes_per_s
        self._clock.after(for_s, lambda: setattr(link, "bytes_per_s", None))

    def _restore_state(self, room: Room, replica: VirtualReplica, back_s: float) -> None:
        """What it had taken in since, and neither sent nor left on disk, is lost with what it remembered."""
        if replica.name not in self._states or self._rng.random() < 0.5:
            self._states[replica.name] = replica.store.copy()
            return
        self._forgets(room, replica)
        replica.kill()
        contents = replica.machine.contents()
        room.ledger_at(replica).lost_with_state(replica.name, replica.store.texts(), contents)
        replica.restore_state(self._states[replica.name])
        room.unkept.something_went()
        self._clock.after(back_s, lambda: self._restart(replica))

    def _forgets(self, room: Room, replica: VirtualReplica) -> None:
        """Of what it was sending it will not know that it has to take it back, or that it has."""
        if replica.engine is not None:
            unaccepted = replica.engine._state.unaccepted
            for entry in replica.engine._state.view.room.placements:
                for edit in unaccepted.of(entry):
                    room.ledger_at(replica).forgot(edit.before, edit.after)

    def _change_rights(self, room: Room, back_s: float) -> None:
        """Whoever may only read may write from now on, or the other way round."""
        for apart in room.apart:
            replica = apart.replica
            replica.kill()
            apart.change()
            self._trace.note(replica.name, "may only read" if apart.holds else "may write")
            self._clock.after(back_s, partial(self._restart, replica))

    def _kill(self, replica: VirtualReplica, back_s: float) -> None:
        replica.kill()
        self._clock.after(back_s, lambda: self._restart(replica))

    def _cut_power(self, room: Room, replica: VirtualReplica, back_s: float) -> None:
        """What people there had saved, and is gone, was never safe, unless it had come to others. Neither was
        what a program had written aside, if the rename over the real file is gone: that never came to be a
        save."""
        before = replica.machine.contents()
        held = [(path, node, node.data) for path, node in replica.disk.files()]
        unsafe = [(node, node.spared, tuple(node.unspared or ())) for _, node, _ in held]
        replica.cut_power()
        room.person_at(replica).lose_power()
        kept = [*replica.machine.contents_to_share(), *map(encode_text, replica.store.texts())]
        kept += [node.data for other in room.replicas if other != replica for _, node in other.disk.files()]
        room.ledger_at(replica).lost_with_power(replica.name, before, kept)
        if replica.read_only:  # what is gone from the folder is in no room: its trash may be all that has it
            for data in replica.machine.trashed():
                room.ledger_at(replica).gave_up(replica.name, data)
        aside = {dentry.inode for path, dentry in replica.disk.nodes.all().items() if reserved_path(path)}
        for path, node, data in held:
            if node in aside:  # files were changing names: the cut left one under a name that no room has
                room.ledger_at(replica).deleted(replica.name, data)
            for left in {node, replica.disk.get(path) or node}:  # a cut may give a name back to a former file
                room.ledger_at(replica).torn(replica.name, data, left.data)
        standing = {node for _, node in replica.disk.files()} | replica.machine.displaced()
        for node, old, written in unsafe:
            if node in standing:
                room.ledger_at(replica).cut_off(replica.name, old, written, node.data)
        room.unkept.something_went()
        self._clock.after(back_s, lambda: self._restart(replica))

    def _restart(self, replica: VirtualReplica) -> None:
        if not replica.running:
            replica.start()

    def _restart_hub(self) -> None:
        if not self._hub.up:
            self._hub.start()
