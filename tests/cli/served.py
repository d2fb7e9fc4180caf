"""A control server with given handlers, on a real socket in a thread of its own, for synchronous callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crdtsync.adapters.control_socket import ControlServer, Handler

Answer = Callable[[Mapping[str, Any]], Any]


def joined_folder(path: Path) -> Path:
    """A folder that looks joined."""
    (path / ".crdtsync").mkdir(parents=True, mode=0o700)
    return path


@contextmanager
def served(folder: Path, answers: Mapping[str, Answer]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Serve ``answers`` for the joined folder; yields the list of what is asked."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def handler(method: str, answer: Answer) -> Handler:
        async def handle(params: Mapping[str, Any]) -> Any:
            asked.append((method, dict(params)))
            return answer(params)

        return handle

    handlers = {method: handler(method, answer) for method, answer in answers.items()}
    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = ControlServer(folder / ".crdtsync", handlers)
        await server.start()
        ready.set()
        await end.wait()
        await server.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield asked
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(60)
        assert not thread.is_alive()


def fails(error: Exception) -> Answer:
    def answer(_: Mapping[str, Any]) -> Any:
        raise error

    return answer
