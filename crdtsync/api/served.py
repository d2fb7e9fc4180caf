"""One program that uses a joined folder from outside: the replica's end of ``crdtsync.attach``.

Each connection is a room of its own over the one running replica. What is asked is done in tasks, but edits
of open texts, which are taken in order as they come.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from crdtsync.adapters.local_socket import lines_of
from crdtsync.api import program_messages as messages
from crdtsync.api.document import TextPort
from crdtsync.api.folder import FolderRoom
from crdtsync.api.served_text import ServedText
from crdtsync.api.streams import Stream
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.core.values.paths import check_path
from crdtsync.errors import Closed, CrdtsyncError, PeerError, ProtocolMismatch
from crdtsync.runtime.editor_socket import BEHIND_S
from crdtsync.runtime.replica import Replica

TAKEN_AT_ONCE: Final = 256
"""Events or changes of the tree in one answer, at most."""

_log = logging.getLogger("crdtsync.programs")


class Session:
    """One connection."""

    def __init__(self, replica: Replica, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._replica = replica
        self._reader = reader
        self._writer = writer
        self._room = FolderRoom(replica)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._texts: dict[int, ServedText] = {}
        self._opening: set[int] = set()
        self._streams: dict[int, tuple[Stream[Any], TypeAdapter[Any]]] = {}
        self._welcome = False

    async def run(self) -> None:
        async with self._room:
            try:
                await self._listen()
            except PeerError as error:
                _log.warning("a program is dropped: %s", error)
                self.end_with(error)
            finally:
                tasks = list(self._tasks.values())
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        """Raises PeerError."""
        async for line in lines_of(self._reader):
            if line is None:
                raise PeerError(f"a message is above {limits.PROGRAM_LINE_MAX_BYTES} bytes")
            self._receive(messages.decode(line))
            if self._replica.behind:
                await asyncio.sleep(BEHIND_S)  # and what it says meanwhile waits in the socket

    def farewell(self) -> None:
        """The replica is about to end."""
        end = self._replica.end
        if isinstance(end, CrdtsyncError):
            self.end_with(end)

    def end_with(self, error: CrdtsyncError) -> None:
        self._send({"method": "ended", "params": messages.failure(error)})

    def _send(self, message: Mapping[str, Any]) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        self._writer.write(messages.encode(message))
        if transport.get_write_buffer_size() > limits.PROGRAM_QUEUE_MAX_BYTES:
            self._drop("it does not read what it is told")

    def _drop(self, reason: str) -> None:
        _log.warning("a program is dropped: %s", reason)
        self._writer.transport.abort()
        self._reader.feed_eof()

    # -- requests ---------------------------------------------------------------------------------------

    def _receive(self, message: dict[str, Any]) -> None:
        """Raises PeerError for what makes no sense: the connection ends then."""
        number, method, params = message.get("id"), message.get("method"), message.get("params", {})
        if not self._welcome:
            self._greet(number, method, params)
        elif number is None:
            self._notified(method, params)
        elif not isinstance(number, int) or number in self._tasks:
            raise PeerError("the id of a request is no number, or one that is in use")
        elif len(self._tasks) >= limits.PROGRAM_REQUESTS_MAX:
            self._refuse(number, PeerError(f"{len(self._tasks)} requests are open already"))
        elif (handler := getattr(self, f"_do_{method}", None)) is None:
            self._refuse(number, PeerError(f"there is no method {printable(str(method))!r}"))
        else:
            task = asyncio.get_running_loop().create_task(self._answer(number, handler(params)))
            self._tasks[number] = task
            task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def _greet(self, number: object, method: object, params: object) -> None:
        if method != "hello":
            raise PeerError("the first message of a program is its hello")
        wanted = messages.params(messages.Hello, params).protocol
        if wanted != messages.PROTOCOL:
            self._refuse(
                number,
                ProtocolMismatch(
                    f"The replica of this folder speaks version {messages.PROTOCOL} to programs, and this "
                    f"program version {wanted}: run the same version of crdtsync in both"
                ),
            )
            return
        self._welcome = True
        welcome = messages.Welcome(protocol=messages.PROTOCOL, room=self._room.name, hub=self._room.hub)
        self._send({"id": number, "result": welcome.model_dump()})

    async def _answer(self, number: int, doing: Awaitable[Any]) -> None:
        try:
            self._send({"id": number, "result": await doing})
        except CrdtsyncError as error:
            self._refuse(number, error)
        except Exception:
            # One method's bug must not take the others away from the program.
            _log.exception("what a program asked for failed")
            self._refuse(number, CrdtsyncError("it failed inside of the replica, whose log tells more"))

    def _refuse(self, number: object, error: CrdtsyncError) -> None:
        self._send({"id": number, "error": messages.failure(error)})

    def _notified(self, method: object, params: object) -> None:
        match method:
            case "edit":
                edit = messages.params(messages.Edit, params)
                if (text := self._texts.get(edit.document)) is not None:
                    text.edited(edit)
                    if text.over:
                        del self._texts[edit.document]
            case "cursors":
                cursors = messages.params(messages.Cursors, params)
                if (text := self._texts.get(cursors.document)) is not None:
                    text.placed(cursors)
            case "close":
                number = messages.params(messages.OfDocument, params).document
                if (text := self._texts.pop(number, None)) is not None:
                    text.close()
            case "watch":
                self._stream(params, self._room.watch(), messages.TREE_CHANGES)
            case "events":
                self._stream(params, self._room.events(), messages.EVENTS)
            case "unwatch":
                self._streams.pop(messages.params(messages.OfStream, params).stream, None)
            case "cancel":
                task = self._tasks.get(messages.params(messages.Cancel, params).request)
                if task is not None:
                    task.cancel()
            case _:
                pass  # a newer program may say more

    # -- the room -----------------------------------------------------------------------------------------

    async def _do_status(self, _: object) -> Any:
        return messages.STATUS.dump_python(await self._room.status(), mode="json")

    async def _do_settled(self, _: object) -> None:
        await self._room.settled()

    async def _do_conflicts(self, _: object) -> Any:
        return messages.CONFLICTS.dump_python(await self._room.conflicts(), mode="json")

    async def _do_transfers(self, _: object) -> Any:
        return messages.TRANSFERS.dump_python(await self._room.transfers(), mode="json")

    async def _do_confirm(self, _: object) -> None:
        await self._room.confirm()

    async def _do_restore(self, _: object) -> None:
        await self._room.restore()

    async def _do_bye(self, _: object) -> None:
        """All that was said before has been taken."""

    # -- streams ------------------------------------------------------------------------------------------

    def _stream(self, params: object, source: AsyncIterator[Any], kind: TypeAdapter[Any]) -> None:
        number = messages.params(messages.OfStream, params).stream
        if number in self._streams or len(self._streams) >= limits.PROGRAM_STREAMS_MAX:
            raise PeerError(f"of {len(self._streams)} open streams one has that number, or that is too many")
        assert isinstance(source, Stream)
        self._streams[number] = source, kind

    async def _do_next(self, params: object) -> Any:
        """The next items of a stream, one at least; none: it has ended."""
        number = messages.params(messages.OfStream, params).stream
        if number not in self._streams:
            raise Closed("The stream is closed")
        source, kind = self._streams[number]
        items = []
        with suppress(StopAsyncIteration):
            items.append(await anext(source))
        while items and len(items) < TAKEN_AT_ONCE and (item := source._take()) is not None:
            items.append(item)
        return kind.dump_python(items, mode="json")

    # -- files --------------------------------------------------------------------------------------------

    async def _do_list(self, params: object) -> Any:
        folder = messages.params(messages.OfFolder, params).folder
        return messages.ENTRIES.dump_python(await self._room.list(folder), mode="json")

    async def _do_entry(self, params: object) -> Any:
        path = messages.params(messages.OfPath, params).path
        return messages.ENTRY.dump_python(await self._room.entry(path), mode="json")

    async def _do_make_folder(self, params: object) -> None:
        await self._room.make_folder(messages.params(messages.OfPath, params).path)

    async def _do_move(self, params: object) -> None:
        move = messages.params(messages.Move, params)
        await self._room.move(move.path, move.to)

    async def _do_delete(self, params: object) -> None:
        await self._room.delete(messages.params(messages.OfPath, params).path)

    async def _do_write(self, params: object) -> None:
        write = messages.params(messages.Write, params)
        try:
            if write.new:
                await self._room._files.check_free(write.path)
        except BaseException:
            if write.staged is not None:
                self._replica.folder.unstage(write.staged)
            raise
        if write.text is not None:
            await self._room.write(write.path, write.text)
        elif write.staged is not None:
            await self._room._files.put(write.staged, write.path)
        else:
            raise PeerError("write says neither a text nor a file")

    async def _do_read(self, params: object) -> Any:
        """Of a text what it holds; all else is on disk when this is answered."""
        path = messages.params(messages.OfPath, params).path
        check_path(path)
        await self._room._view.ready()
        if (fd := await self._room._files.open_file(path)) is None:
            return {"text": await self._room.read_text(path)}
        os.close(fd)
        return {"text": None}

    # -- texts --------------------------------------------------------------------------------------------

    async def _do_open(self, params: object) -> None:
        """What it holds is told before this is answered, and before anything else is told of it."""
        wanted = messages.params(messages.OpenText, params)
        number = wanted.document
        taken = self._texts.keys() | self._opening
        if number in taken or len(taken) >= limits.PROGRAM_TEXTS_MAX:
            raise PeerError(f"of {len(taken)} open texts one has that number, or that is too many")

        def opened(port: TextPort, path: str, text: str) -> ServedText:
            self._texts[number] = ServedText(number, port, self._tell, self._drop)
            self._tell("opened", messages.Opened(document=number, path=path, text=text))
            return self._texts[number]

        self._opening.add(number)
        try:
            await self._room._open(wanted.path, wanted.create, opened)
        except BaseException:
            self._texts.pop(number, None)
            raise
        finally:
            self._opening.discard(number)

    def _tell(self, method: str, params: BaseModel) -> None:
        self._send({"method": method, "params": params.model_dump()})
