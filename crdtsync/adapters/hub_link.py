"""The replica's websocket to the hub: connects, sends in order, hands on what arrives. Knows no message."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from crdtsync.adapters.link_socket import LinkSocket
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.core.values.links import is_here
from crdtsync.errors import CrdtsyncError, HubUnreachable, InvalidName, ProtocolMismatch

ROOM_PATH = "/v1/room"
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0


class HubLink:
    """One connection at a time. ``received`` gets each frame, ``ended`` the reason, both on the loop.

    Whoever is done with a frame says so by ``taken``: while too many bytes are not, the network is not read,
    and the hub sees a slow reader.
    """

    def __init__(
        self,
        url: str,
        connected: Callable[[], None],
        received: Callable[[str | bytes], None],
        ended: Callable[[CrdtsyncError], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``tls`` for a ``wss://`` hub: whom to trust."""
        self._hub = hub_address(url)
        self._tls = tls
        self._connected = connected
        self._received = received
        self._ended = ended
        self._outgoing: deque[str | bytes] = deque()
        self._wake = asyncio.Event()
        self._websocket: LinkSocket | None = None
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start connecting; ends with ``connected`` or ``ended``. Replaces a connection that is open."""
        if self._task is not None:
            self._task.cancel()
        self._leave()
        self._outgoing.clear()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="hub link")

    def send(self, frame: str | bytes) -> None:
        """At once if the network takes it, else in its turn."""
        if self._outgoing or self._websocket is None or not self._websocket.write(frame):
            self._outgoing.append(frame)
            self._wake.set()

    def taken(self, frame: str | bytes) -> None:
        """Nobody holds this frame of ``received`` any more, whichever connection it came from."""
        full = self._waiting_bytes > limits.RECEIVED_MAX_BYTES
        self._waiting_bytes -= len(frame)
        if full and self._waiting_bytes <= limits.RECEIVED_MAX_BYTES and self._websocket is not None:
            self._websocket.attach(self._take)

    def drop(self, reason: str) -> None:
        """Close what is open and say so; what was queued is lost, and will be compared."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._leave()
            self._ended(HubUnreachable(reason))

    async def close(self) -> None:
        """Send what is queued, then close."""
        task, self._task = self._task, None
        self._leave()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async with connect(
                self._hub + ROOM_PATH,
                create_connection=LinkSocket,
                ssl=self._tls,
                compression=None,
                max_size=limits.FRAME_MAX_BYTES,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=limits.HEARTBEAT_S,
                ping_timeout=limits.HEARTBEAT_TIMEOUT_S,
                proxy=None,
                user_agent_header="crdtsync",
            ) as websocket:
                assert isinstance(websocket, LinkSocket)
                self._outgoing.clear()
                self._connected()
                self._websocket = websocket
                sender = asyncio.create_task(self._send_all(websocket), name="hub link sender")
                try:
                    websocket.attach(self._take)
                    await websocket.wait_closed()
                finally:
                    websocket.end()
                    if self._websocket is websocket:
                        self._websocket = None
                    sender.cancel()
                    await asyncio.gather(sender, return_exceptions=True)
            if isinstance(websocket.close_exc, ConnectionClosedError):
                raise websocket.close_exc
            reason: CrdtsyncError = HubUnreachable(_closed(websocket, self._hub))
        except asyncio.CancelledError:
            raise
        except (OSError, WebSocketException, EOFError, UnicodeError) as error:
            reason = explain(error, self._hub)
        self._task = None
        self._ended(reason)

    def _leave(self) -> None:
        """Nothing is taken from that connection any more, nor given to it."""
        if self._websocket is not None:
            self._websocket.end()
            self._websocket = None

    def _take(self, frame: str | bytes) -> None:
        self._waiting_bytes += len(frame)
        self._received(frame)
        if self._waiting_bytes > limits.RECEIVED_MAX_BYTES and self._websocket is not None:
            self._websocket.hold()

    async def _send_all(self, websocket: LinkSocket) -> None:
        try:
            while True:
                while self._outgoing:
                    await websocket.send(self._outgoing.popleft())
                self._wake.clear()
                await self._wake.wait()
        except ConnectionClosed:
            return  # the receiving side tells


def hub_address(url: str) -> str:
    """The hub's ``ws://`` or ``wss://`` address without a trailing slash.

    Raises InvalidName for anything that is not one.
    """
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        usable = scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        usable = False
    if not usable:
        raise InvalidName(
            f"{printable(url)!r} is not the address of a hub; "
            "it looks like ws://127.0.0.1:4747 or wss://example.org"
        )
    if "@" in parts.netloc:  # and is not repeated, since it is a secret
        raise InvalidName(
            f"The address of the hub at {printable(parts.hostname or '')} has a user or password in it, "
            "which no hub asks for: leave them out, and join by an invite"
        )
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def explain(error: Exception, url: str) -> CrdtsyncError:
    """An attempt to connect failed: why, for a person."""
    match error:
        case InvalidStatus() if error.response.status_code >= 500:
            return HubUnreachable(f"The hub at {url} answers {error.response.status_code}: it is not ready")
        case InvalidStatus() if error.response.status_code == 429:
            return HubUnreachable(f"The hub at {url} has too many connections from here; it asks to wait")
        case InvalidStatus() if error.response.status_code == 403:
            said = printable(error.response.body.decode("utf-8", "replace").strip(), 300)
            return ProtocolMismatch(f"What answers at {url} refuses: {said or 'HTTP 403'}")
        case InvalidStatus():
            return ProtocolMismatch(
                f"What answers at {url} is not a crdtsync hub (HTTP {error.response.status_code}); "
                "check the address"
            )
        case InvalidURI():
            return ProtocolMismatch(f"{url} is not the address of a hub")
        case InvalidMessage() if isinstance(error.__cause__, EOFError):
            # As a hub does that ends, or is killed, at that moment.
            return HubUnreachable(f"What answers at {url} closes the connection before it has said a word")
        case InvalidMessage() | InvalidHandshake():
            return ProtocolMismatch(
                f"What answers at {url} does not speak websockets: not a crdtsync hub; check the address"
            )
        case TimeoutError():
            return HubUnreachable(f"The hub at {url} does not answer")
        case ssl.SSLCertVerificationError():
            return HubUnreachable(
                f"The certificate of {url} is not to be trusted: {error.verify_message}. "
                "If it is from an authority of your own, name that with --ca FILE"
            )
        case ssl.SSLError():
            return HubUnreachable(f"{url} cannot be spoken to by TLS: {error.reason or error}")
        case UnicodeError():
            return ProtocolMismatch(
                f"{printable(url)} is not the address of a hub: no machine can have that name"
            )
        case socket.gaierror():
            return HubUnreachable(
                f"The machine of {url} cannot be found ({error.strerror}): check the address, and the network"
            )
        case ConnectionResetError() if url.startswith("wss://"):
            return HubUnreachable(f"What answers at {url} ends the connection: if it has no TLS, use ws://")
        case ConnectionRefusedError():
            return HubUnreachable(f"No hub runs at {url}; {_next_step(url)}")
        case OSError():
            return HubUnreachable(f"The hub at {url} cannot be reached: {_cause(error)}")
        case _:
            return HubUnreachable(f"The connection to the hub at {url} broke: {_cause(error)}")


def _next_step(url: str) -> str:
    """Where nobody listens: one command starts a hub there only on this machine, and without TLS."""
    if url.startswith("ws://") and is_here(url):
        return f"start one with: crdtsync hub --port {urlsplit(url).port or 80}"
    return "check the address, or have one started there"


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _closed(websocket: LinkSocket, url: str) -> str:
    reason = websocket.close_reason
    return f"The hub at {url} closed the connection" + (f": {reason}" if reason else "")
