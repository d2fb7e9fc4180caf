"""The library for programs without asyncio: the same verbs, which wait until they are done.

    with crdtsync.blocking.connect("ws://127.0.0.1:4747", "notes") as room:
        with room.open("todo.md", create=True) as document:
            document.update(lambda text: text + "- milk\\n")

A loop runs in a thread of its own, from entering a room or hub until it is left. Everything here may be
called from any thread. Arguments and errors are those of the asynchronous library; a wait ends early with
TimeoutError where ``timeout_s`` is given, and by Ctrl-C.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from crdtsync.api import attached, connected, joined
from crdtsync.api import document as asynchronous
from crdtsync.api import hub as hubs
from crdtsync.api import room as rooms
from crdtsync.api.values import Change, Cursor, Entry, Event, TextEdit, TreeChange
from crdtsync.core.replica.status import Conflict, Peer, Status
from crdtsync.errors import Closed

T = TypeVar("T")
W = TypeVar("W", bound=AbstractAsyncContextManager[Any])

Content: TypeAlias = bytes | str | Iterable[bytes]


class _Thread:
    """A loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crdtsync", daemon=True)
        self._thread.start()

    def wait(self, what: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run it there. Raises what it raises; TimeoutError, after which it was cancelled."""
        if threading.current_thread() is self._thread:
            what.close()
            raise RuntimeError("this would wait for itself: do not call back into a room from ``update``")
        if not self._loop.is_running():
            what.close()
            raise Closed("The room has been left")
        future: Future[T] = asyncio.run_coroutine_threadsafe(what, self._loop)
        try:
            return future.result(timeout_s)
        except CancelledError:
            raise Closed("The room has been left") from None
        except BaseException:
            future.cancel()
            raise

    def do(self, what: Callable[[], T]) -> T:
        """Call it there."""

        async def call() -> T:
            return what()

        return self.wait(call())

    def end(self) -> None:
        """Cancel what still runs, and end the thread."""

        async def cancel_all() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()

        self.wait(cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Entered(Generic[W]):
    """Something asynchronous that is entered and left on a loop of its own; made there, too."""

    def __init__(self, make: Callable[[], W]) -> None:
        self._make = make
        self._running: tuple[_Thread, W] | None = None

    def __enter__(self) -> Self:
        thread = _Thread()
        try:
            made = thread.do(self._make)
            thread.wait(made.__aenter__())
        except BaseException:
            thread.end()
            raise
        self._running = thread, made
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is None:
            return
        (thread, made), self._running = self._running, None
        try:
            thread.wait(made.__aexit__(kind, error, trace))
        finally:
            thread.end()

    @property
    def _thread(self) -> _Thread:
        return self._open()[0]

    @property
    def _it(self) -> W:
        return self._open()[1]

    def _open(self) -> tuple[_Thread, W]:
        if self._running is None:
            raise Closed("It has been left, or was never entered")
        return self._running


class Document:
    """An open text; see ``crdtsync.Document``. Others edit it at any time, also between two of your calls:
    ``update`` is for edits that depend on the text."""

    def __init__(self, thread: _Thread, document: asynchronous.Document) -> None:
        self._thread = thread
        self._document = document

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def text(self) -> str:
        return self._thread.do(lambda: self._document.text)

    @property
    def path(self) -> str:
        return self._thread.do(lambda: self._document.path)

    @property
    def exists(self) -> bool:
        return self._thread.do(lambda: self._document.exists)

    @property
    def cursors(self) -> list[Cursor]:
        return self._thread.do(lambda: self._document.cursors)

    def update(self, new_text: Callable[[str], str]) -> str:
        """Make it what the function makes of it, by edits of what differs; returns that. Nothing comes in
        between; the function must not use the room."""

        def change() -> str:
            self._document.set_text(new_text(self._document.text))
            return self._document.text

        return self._thread.do(change)

    def edit(self, edits: Iterable[TextEdit]) -> None:
        self._thread.do(lambda: self._document.edit(edits))

    def append(self, text: str) -> None:
        self._thread.do(lambda: self._document.append(text))

    def undo(self) -> bool:
        return self._thread.do(self._document.undo)

    def redo(self) -> bool:
        return self._thread.do(self._document.redo)

    def set_cursor(self, start: int | None, end: int | None = None) -> None:
        self._thread.do(lambda: self._document.set_cursor(start, end))

    def changes(self, timeout_s: float | None = None) -> Iterator[Change]:
        """All changes from this call on; TimeoutError when none comes for so long."""
        return _iterated(self._thread, self._thread.do(self._document.changes), timeout_s)

    def close(self) -> None:
        """Let go of it; nothing happens if its room has been left."""
        with suppress(Closed):
            self._thread.do(self._document.close)


class Room(_Entered[rooms.Room]):
    """See ``crdtsync.Room``. ``make`` makes the asynchronous one, on the loop."""

    @property
    def name(self) -> str:
        return self._it.name

    @property
    def hub(self) -> str:
        return self._it.hub

    def status(self) -> Status:
        return self._thread.wait(self._it.status())

    def people(self) -> tuple[Peer, ...]:
        return self._thread.wait(self._it.people())

    def conflicts(self) -> list[Conflict]:
        return self._thread.wait(self._it.conflicts())

    def settled(self, timeout_s: float | None = None) -> None:
        self._thread.wait(self._it.settled(), timeout_s)

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """What happens from this call on; TimeoutError when nothing does for so long."""
        return _iterated(self._thread, self._thread.do(self._it.events), timeout_s)

    def watch(self, timeout_s: float | None = None) -> Iterator[TreeChange]:
        """How the files change from this call on; TimeoutError when none does for so long."""
        return _iterated(self._thread, self._thread.do(self._it.watch), timeout_s)

    def list(self, folder: str = "") -> list[Entry]:
        return self._thread.wait(self._it.list(folder))

    def entry(self, path: str) -> Entry | None:
        return self._thread.wait(self._it.entry(path))

    def open(self, path: str, *, create: bool = False) -> Document:
        return Document(self._thread, self._thread.wait(self._it.open(path, create=create)))

    def create(self, path: str, content: Content = "") -> None:
        self._thread.wait(self._it.create(path, content))

    def make_folder(self, path: str) -> None:
        self._thread.wait(self._it.make_folder(path))

    def move(self, path: str, to: str) -> None:
        self._thread.wait(self._it.move(path, to))

    def delete(self, path: str) -> None:
        self._thread.wait(self._it.delete(path))

    def read(self, path: str) -> Iterator[bytes]:
        return _iterated(self._thread, self._it.read(path), None)

    def read_bytes(self, path: str) -> bytes:
        return self._thread.wait(self._it.read_bytes(path))

    def read_text(self, path: str) -> str:
        return self._thread.wait(self._it.read_text(path))

    def write(self, path: str, content: Content) -> None:
        self._thread.wait(self._it.write(path, content))


class Hub(_Entered[hubs.Hub]):
    """See ``crdtsync.Hub``, of which it takes all arguments."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(lambda: hubs.Hub(*arguments, **options))

    @property
    def url(self) -> str:
        return self._it.url


def connect(hub: str, room: str | None = None, **options: Any) -> Room:
    """A room without a folder; takes what ``crdtsync.connect`` takes."""
    return Room(lambda: connected.connect(hub, room, **options))


def join(hub: str, room: str | None = None, *, directory: str | os.PathLike[str], **options: Any) -> Room:
    """A room with a folder; takes what ``crdtsync.join`` takes."""
    return Room(lambda: joined.join(hub, room, directory=directory, **options))


def attach(directory: str | os.PathLike[str]) -> Room:
    """A folder that another program keeps joined; see ``crdtsync.attach``."""
    return Room(lambda: attached.attach(directory))


def _iterated(thread: _Thread, source: AsyncIterator[T], timeout_s: float | None) -> Iterator[T]:
    async def following() -> T:
        return await anext(source)

    while True:
        try:
            yield thread.wait(following(), timeout_s)
        except StopAsyncIteration:
            return
