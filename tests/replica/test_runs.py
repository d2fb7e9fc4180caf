"""As whom a replica has typed, over its restarts."""

from __future__ import annotations

from crdtsync.core.replica.runs import RUNS_KEY
from crdtsync.core.values.ids import is_client_id_of_ours
from tests.simulation.scene import Scene


def test_a_replica_remembers_as_whom_it_typed_in_its_last_runs() -> None:
    scene = Scene()
    known: list[list[str]] = []
    for _ in range(70):
        scene.b.kill()
        scene.b.start()
        scene.wait(0.1)
        known.append(scene.b.store.remembered().meta[RUNS_KEY].split())
    assert known[1] == [*known[0], known[1][-1]] and len(set(known[1])) == 3
    assert len(known[-1]) == 64 and known[-1][:-1] == known[-2][1:]
    assert all(is_client_id_of_ours(int(run, 16)) for run in known[-1])
