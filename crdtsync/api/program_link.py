"""A program's connection to the replica of a joined folder: requests, answers, and what is told unasked."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from crdtsync.adapters.control_client import PROGRAMS_SOCKET, none_runs, socket_address
from crdtsync.adapters.local_socket import lines_of
from crdtsync.api import program_messages as messages
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import Closed, CrdtsyncError, PeerError


class ProgramLink:
    """From ``open`` until the replica ends or ``close``; ``ended`` is called once, with the reason."""

    def __init__(
        self,
        folder: Path,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        told: Callable[[str, object], None],
        ended: Callable[[CrdtsyncError], None],
    ) -> None:
        self._shown = printable(str(folder))
        self._reader = reader
        self._writer = writer
        self._told = told
        self._ended = ended
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._end: CrdtsyncError | None = None
        self._task = asyncio.create_task(self._listen(), name="attached folder")

    @classmethod
    async def open(
        cls, folder: Path, told: Callable[[str, object], None], ended: Callable[[CrdtsyncError], None]
    ) -> Self:
        """``told`` gets what the replica says unasked, in its order. Raises FolderError when none runs."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket_address(folder / STATE_FOLDER, PROGRAMS_SOCKET) as address:
                await asyncio.to_thread(connection.connect, address)  # a busy replica may let it wait
            connection.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(
                sock=connection, limit=limits.PROGRAM_LINE_MAX_BYTES
            )
        except OSError as problem:
            connection.close()
            raise none_runs(folder, problem) from problem
        except BaseException:
            connection.close()
            raise
        return cls(folder, reader, writer, told, ended)

    async def close(self) -> None:
        self._over(Closed(f"{self._shown} has been left"))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def ask(self, method: str, params: Mapping[str, Any]) -> Any:
        """The answer. Raises what the replica answers, and what ended the link. Cancelled there, too."""
        if self._end is not None:
            raise type(self._end)(str(self._end))
        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._write({"id": number, "method": method, "params": params})
            return await future
        except asyncio.CancelledError:
            self.tell("cancel", {"request": number})
            raise
        finally:
            self._asked.pop(number, None)

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Without an answer; nothing happens after the end."""
        if self._end is None:
            self._write({"method": method, "params": params})

    @property
    def behind(self) -> bool:
        """Whether the replica takes less than is said."""
        return self._writer.transport.get_write_buffer_size() > limits.PROGRAM_QUEUE_MAX_BYTES

    def _write(self, message: Mapping[str, Any]) -> None:
        self._writer.write(messages.encode(message))

    async def _listen(self) -> None:
        end: CrdtsyncError = Closed(f"The replica of {self._shown} has ended; attach again once it runs")
        try:
            async for line in lines_of(self._reader):
                if line is None:
                    raise PeerError(f"a message is above {limits.PROGRAM_LINE_MAX_BYTES} bytes")
                message = messages.decode(line)
                if message.get("method") == "ended":
                    end = messages.error_of(message.get("params"))
                    break
                self._take(message)
        except ConnectionError:
            pass
        except PeerError as error:
            end = PeerError(
                f"The replica of {self._shown} says what cannot be ({error}): it may be of another version"
            )
            self._writer.transport.abort()
        finally:
            self._over(end)

    def _take(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if isinstance(method, str):
            self._told(method, message.get("params"))
            return
        number = message.get("id")
        future = self._asked.get(number) if isinstance(number, int) else None
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(messages.error_of(message["error"]))
        else:
            future.set_result(message.get("result"))

    def _over(self, error: CrdtsyncError) -> None:
        if self._end is not None:
            return
        self._end = error
        self._ended(error)
        for future in self._asked.values():
            if not future.done():
                future.set_exception(type(error)(str(error)))
