"""Writes numbered transactions without end and tells each on stdout, until it is killed.

Arguments: the store's path, the number of the last transaction in it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crdtsync.adapters import replica_store
from crdtsync.core.replica.records import (
    AddUpdate,
    AddVersion,
    Head,
    PutHead,
    PutMeta,
    PutSynced,
    Record,
    ReplaceUpdates,
)
from crdtsync.core.values.ids import TREE, DocumentId
from tests.store.contract import ENTRY, NOW_S, OTHER, agreed, digest, version


def transaction(number: int) -> list[Record]:
    update = str(number).encode()
    return [
        PutMeta("number", str(number)),
        AddUpdate(TREE, update * 20),
        ReplaceUpdates(DocumentId(OTHER), (update,) * 50),
        PutHead(Head(TREE, update, None, number, number, True)),
        PutSynced(agreed(digest(number), provisional=digest(number + 1))),
        AddVersion(version(number, at_s=NOW_S + number / 1000)),
        AddUpdate(DocumentId(ENTRY), update * 20),
    ]


def main(path: str, number: int) -> None:
    # Checkpoints all the time, so that kills fall into them too.
    replica_store.CHECKPOINT_AFTER_BYTES = 100_000
    replica_store.WAL_LONG_BYTES = 300_000
    store = replica_store.ReplicaStore(Path(path))
    while True:
        number += 1
        store.persist(transaction(number))
        os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
