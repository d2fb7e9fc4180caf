"""The recorded editing sessions: where they lie and what they say; what to do with them is left to the tests.

They are looked for in the folder that ``CRDTSYNC_TRACES`` names, else in ``../shared/data``, seen from the
repository.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Patch:
    """Replaces ``deleted`` code points from ``position`` on by ``inserted``."""

    position: int
    deleted: int
    inserted: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """``patches`` apply in turn to the text after exactly ``parents`` (indexes of transactions)."""

    agent: int
    parents: tuple[int, ...]
    patches: tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    start: str
    end: str
    transactions: tuple[Transaction, ...]


def recording(name: str) -> Recording:
    """The session of that name. Skips the test, with the reason, where the recordings are not there."""
    folder = Path(os.environ.get("CRDTSYNC_TRACES", _BESIDE))
    path = folder / f"{name}.json.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there: set CRDTSYNC_TRACES to the folder with the recorded sessions")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        data = json.load(file)
    transactions = []
    for index, transaction in enumerate(data["txns"]):
        patches = tuple(Patch(*patch) for patch in transaction["patches"])
        # in a session of one author each transaction follows the one before
        parents = tuple(transaction.get("parents", (index - 1,) if index else ()))
        transactions.append(Transaction(transaction.get("agent", 0), parents, patches))
    return Recording(data.get("startContent", ""), data["endContent"], tuple(transactions))
