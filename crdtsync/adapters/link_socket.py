"""A client's websocket that hands on each message as soon as it is there, and writes without a task.

The websockets library does the handshake, all frames and the closing; only its queue of messages and the task
that would empty it are left out. Knows nothing of what the messages say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from crdtsync.adapters.woken import let_run


def _ignore(_: str | bytes) -> None:
    pass


class LinkSocket(ClientConnection):
    """Messages wait until ``attach`` says who takes them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deliver: Callable[[str | bytes], None] | None = None
        self._held: deque[str | bytes] = deque()
        self._parts: list[bytes] = []
        self._is_text = False

    def attach(self, deliver: Callable[[str | bytes], None]) -> None:
        """Have every message delivered, from now on until ``hold``, which ``deliver`` may call."""
        self._deliver = deliver
        while self._held and self._deliver is not None:
            self._deliver(self._held.popleft())
        if self._deliver is not None:
            self.transport.resume_reading()

    def hold(self) -> None:
        """Deliver nothing, and read no further, until the next ``attach``."""
        self._deliver = None
        self.transport.pause_reading()

    def end(self) -> None:
        """Throw away what else comes; it is read on, for the other side's goodbye."""
        self._held.clear()
        self.attach(_ignore)

    def write(self, message: str | bytes) -> bool:
        """Send it, unless that has to be waited for: then nothing is done, and False returned."""
        if self.protocol.state is not State.OPEN or self.paused or self.send_in_progress is not None:
            return False
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self.send_data()
        let_run(len(message))
        return True

    def process_event(self, event: Event) -> None:
        """The protocol has checked that fragments follow each other, and how large they are together."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        if event.opcode is not Opcode.CONT:
            self._is_text = event.opcode is Opcode.TEXT
        self._parts.append(bytes(event.data))
        if event.fin:
            message, self._parts = b"".join(self._parts), []
            self._take(message)

    def _take(self, message: bytes) -> None:
        try:
            taken = message.decode() if self._is_text else message
        except UnicodeDecodeError as error:
            self.protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
            self.send_data()
            return
        if self._deliver is None or self._held:
            self._held.append(taken)
        else:
            self._deliver(taken)
