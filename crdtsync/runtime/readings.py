"""What the metrics of a hub are made of; how they are written for Prometheus is known by ``metrics``."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from crdtsync.core.hub.shared import Counts

COMMIT_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Blobs:
    """Counts of the blob sockets, as ``HubBlobs`` keeps them."""

    connections: int
    received_bytes: int
    sent_bytes: int
    stored_chunks: int
    sent_chunks: int
    missing_chunks: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the metrics are made of, at one moment."""

    rooms: int
    members: int
    uncommitted_bytes: int
    counts: Counts
    blobs: Blobs


class CommitTimes:
    """How long commits took, counted by ``COMMIT_BUCKETS_S``, with those beyond the last at the end."""

    def __init__(self) -> None:
        self.counts = [0] * (len(COMMIT_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, took_s: float) -> None:
        self.counts[bisect_left(COMMIT_BUCKETS_S, took_s)] += 1
        self.sum_s += took_s
