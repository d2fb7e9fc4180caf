"""What a hub tells whoever watches it, written for Prometheus; the only user of its package.

The package takes 1.5 MB, so this module is loaded with the first request for metrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from crdtsync.runtime.readings import COMMIT_BUCKETS_S, CommitTimes, Reading


def written(reading: Reading, commits: CommitTimes) -> str:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Metrics(reading, commits))
    return generate_latest(registry).decode()


class _Metrics(Collector):
    def __init__(self, reading: Reading, commits: CommitTimes) -> None:
        self._reading = reading
        self._commits = commits

    def collect(self) -> Iterator[Metric]:
        reading = self._reading
        counts = reading.counts
        blobs = reading.blobs
        for name, text, value in (
            ("rooms", "Rooms in memory.", reading.rooms),
            ("members", "Members of rooms.", reading.members),
            ("uncommitted_bytes", "Updates taken that are not durable yet.", reading.uncommitted_bytes),
            ("blob_connections", "Open blob sockets.", blobs.connections),
        ):
            yield GaugeMetricFamily(f"crdtsync_hub_{name}", text, value)
        for name, text, value in (
            ("updates", "Updates taken.", counts.updates),
            ("update_bytes", "Their size.", counts.update_bytes),
            ("frames_sent", "Frames queued for members.", counts.frames_sent),
            ("sent_bytes", "Their size.", counts.bytes_sent),
            ("fell_behind", "Times a full queue dropped a member to its cursor.", counts.fell_behind),
            ("dropped_members", "Members let go because they did not read.", counts.dropped),
            ("resumed", "Sessions whose cursor was honoured.", counts.resumed),
            ("compared", "Sessions that had to compare everything.", counts.compared),
            ("commit_failures", "Commits that failed.", counts.commit_failures),
            ("compactions", "Compactions of documents.", counts.compactions),
            ("compacted_rows", "Rows that they saved.", counts.compacted_rows),
            ("blob_received_bytes", "Received on blob sockets.", blobs.received_bytes),
            ("blob_sent_bytes", "Sent on blob sockets.", blobs.sent_bytes),
            ("blob_stored_chunks", "Chunks stored.", blobs.stored_chunks),
            ("blob_sent_chunks", "Chunks sent.", blobs.sent_chunks),
            ("blob_missing_chunks", "Chunks asked for in vain.", blobs.missing_chunks),
        ):
            yield CounterMetricFamily(f"crdtsync_hub_{name}", text, value)
        refusals = CounterMetricFamily(
            "crdtsync_hub_refusals", "Requests and members refused, by reason.", labels=["code"]
        )
        for code, count in sorted(counts.refusals.items()):
            refusals.add_metric([code], count)
        yield refusals
        below = [*map(str, COMMIT_BUCKETS_S), "+Inf"]
        yield HistogramMetricFamily(
            "crdtsync_hub_commit_seconds",
            "Time to make a group of updates durable.",
            buckets=list(zip(below, accumulate(self._commits.counts), strict=True)),
            sum_value=self._commits.sum_s,
        )
