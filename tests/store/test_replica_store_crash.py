"""A kill at any instruction leaves whole transactions, in order, and none of those that were told is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crdtsync.adapters.replica_store import ReplicaStore
from crdtsync.core.values.ids import TREE, DocumentId
from tests.store.contract import ENTRY, OTHER, agreed, digest

WRITER = Path(__file__).with_name("crash_writer.py")


def last_transaction(path: Path) -> int:
    """The number of the last transaction, after checking that everything in the store agrees on it."""
    store = ReplicaStore(path)
    remembered = store.remembered()
    number = int(remembered.meta.get("number", "0"))
    expected = [str(n).encode() * 20 for n in range(1, number + 1)]
    assert list(store.updates(TREE)) == expected
    assert list(store.updates(DocumentId(ENTRY))) == expected
    assert len(store.updates(DocumentId(OTHER))) == (50 if number else 0)
    assert set(store.updates(DocumentId(OTHER))) == ({str(number).encode()} if number else set())
    assert [head.at_ms for head in remembered.heads] == ([number] if number else [])
    assert remembered.synced == ((agreed(digest(number), provisional=digest(number + 1)),) if number else ())
    assert [version.digest for version in store.versions(ENTRY)] == [
        digest(n) for n in range(number, max(0, number - 16), -1)
    ]
    store.close()
    return number


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_leaves_whole_transactions_in_order(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "state.db"
    for _ in range(4):
        before = last_transaction(path)
        with subprocess.Popen(
            [sys.executable, str(WRITER), str(path), str(before)],
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        ) as writer:
            assert writer.stdout is not None
            told = before
            for _ in range(rng.randrange(1, 120)):
                told = int(writer.stdout.readline())
            # Spin for a part of a transaction, so that kills fall everywhere in it.
            for _ in range(rng.randrange(20_000)):
                pass
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split()
        if rest:
            told = int(rest[-1])
        assert last_transaction(path) in (told, told + 1)
