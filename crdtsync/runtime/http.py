"""What the hub answers over plain HTTP: its health, its metrics, and which paths are websockets.

Counters are the engine's own; they are read when somebody asks, so that counting costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from crdtsync.core.hub.shared import Counts
from crdtsync.runtime.hub_access import HubAccess
from crdtsync.runtime.hub_gate import peer_of

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METRICS_DENIED = "Metrics are for this machine, or for who shows an invite: Authorization: Bearer TOKEN."
COMMIT_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Health:
    """``status``: ``ok``, or ``degraded`` with the ``trouble`` that keeps the hub from storing updates."""

    status: str
    version: str
    rooms: int
    members: int
    uptime_s: float
    trouble: str = ""


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


class HubHttp:
    """Answers requests that are no websocket; ``is_socket`` tells of path and query whether they are one."""

    def __init__(
        self,
        is_socket: Callable[[str], bool],
        access: HubAccess,
        counts: Counts,
        health: Callable[[], Health],
        reading: Callable[[], Reading],
    ) -> None:
        self._is_socket = is_socket
        self._access = access
        self._counts = counts
        self._health = health
        self._registry = CollectorRegistry()
        self._registry.register(_Metrics(reading))
        self.commits = Histogram(
            "crdtsync_hub_commit_seconds",
            "Time to make a group of updates durable.",
            registry=self._registry,
            buckets=COMMIT_BUCKETS_S,
        )

    def process(self, connection: ServerConnection, request: Request) -> Response | None:
        """For ``serve(process_request=...)``: None lets the websocket handshake go on."""
        path = request.path.partition("?")[0]
        headers = request.headers
        problem = self._access.web.problem(headers.get_all("Host"), headers.get_all("Origin"))
        if problem is not None:
            # Any page that a browser shows can reach a hub on this machine; replicas send no Origin.
            self._counts.refuse("web page")
            return connection.respond(HTTPStatus.FORBIDDEN, problem + "\n")
        match path:
            case "/healthz":
                health = self._health()
                status = HTTPStatus.OK if health.status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
                told = asdict(health) if self._may_know(connection, request) else {"status": health.status}
                return _answer(connection, status, json.dumps(told) + "\n", "application/json")
            case "/metrics" if not self._may_know(connection, request):
                self._counts.refuse("denied")
                return connection.respond(HTTPStatus.FORBIDDEN, METRICS_DENIED + "\n")
            case "/metrics":
                metrics = generate_latest(self._registry).decode()
                return _answer(connection, HTTPStatus.OK, metrics, METRICS_TYPE)
            case _ if not self._is_socket(request.path):
                return connection.respond(HTTPStatus.NOT_FOUND, f"There is nothing at {path[:200]!a}.\n")
            case _:
                return None

    def _may_know(self, connection: ServerConnection, request: Request) -> bool:
        """Whether someone may be told how much there is: on this machine, or with a token of this hub."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._access.may_know(peer_of(connection), token.strip() if kind.lower() == "bearer" else None)


def _answer(connection: ServerConnection, status: HTTPStatus, text: str, kind: str) -> Response:
    response = connection.respond(status, text)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = kind
    response.headers["Cache-Control"] = "no-store"
    return response


class _Metrics(Collector):
    def __init__(self, reading: Callable[[], Reading]) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        reading = self._reading()
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
