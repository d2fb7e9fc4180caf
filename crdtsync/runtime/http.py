"""What the hub answers over plain HTTP: its health, its metrics, and which paths are websockets.

Counters are the engine's own; they are read when somebody asks, so that counting costs nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from crdtsync.core.hub.shared import Counts
from crdtsync.runtime.hub_access import HubAccess
from crdtsync.runtime.hub_gate import peer_of
from crdtsync.runtime.readings import CommitTimes, Reading

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METRICS_DENIED = "Metrics are for this machine, or for who shows an invite: Authorization: Bearer TOKEN."


@dataclass(frozen=True, slots=True)
class Health:
    """``status``: ``ok``, or ``degraded`` with the ``trouble`` that keeps the hub from storing updates."""

    status: str
    version: str
    rooms: int
    members: int
    uptime_s: float
    trouble: str = ""


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
        self._reading = reading
        self.commits = CommitTimes()

    def process(
        self, connection: ServerConnection, request: Request
    ) -> Response | Awaitable[Response] | None:
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
                return self._metrics(connection)
            case _ if not self._is_socket(request.path):
                return connection.respond(HTTPStatus.NOT_FOUND, f"There is nothing at {path[:200]!a}.\n")
            case _:
                return None

    async def _metrics(self, connection: ServerConnection) -> Response:
        metrics = await asyncio.to_thread(_written, self._reading(), self.commits)
        return _answer(connection, HTTPStatus.OK, metrics, METRICS_TYPE)

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


def _written(reading: Reading, commits: CommitTimes) -> str:
    """In a worker, which loads what nobody needs who never asks for metrics."""
    from crdtsync.runtime.metrics import written

    return written(reading, commits)
