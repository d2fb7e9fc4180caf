"""A running ``join``: signals, the shown view, the control socket and the exit code around one replica."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from crdtsync.api.listening import listen
from crdtsync.cli.exit_codes import EXIT_DONE
from crdtsync.cli.views import JsonView, PlainView, TerminalView, View
from crdtsync.core.replica.effects import AskDiffering
from crdtsync.core.replica.events import Differing
from crdtsync.errors import CrdtsyncError
from crdtsync.runtime.joining import JoinOptions
from crdtsync.runtime.replica import Replica

REDRAW_S = 0.1


class JoinCommand:
    """Runs one replica for a person at a terminal, or for a program that reads lines."""

    def __init__(self, options: JoinOptions, *, json: bool, once: bool) -> None:
        self._options = options
        self._once = once
        self._replica = Replica(options, self)
        folder = str(options.directory)
        hub = self._replica.hub
        self._view: View
        if json:
            self._view = JsonView(options.room, hub, folder)
        elif sys.stdout.isatty() and not once:
            self._view = TerminalView(options.room, hub, folder)
        else:
            self._view = PlainView(options.room, hub, folder)
        self._redraw: asyncio.TimerHandle | None = None
        self._failed: CrdtsyncError | None = None
        self._extras = AsyncExitStack()
        self._ending: asyncio.Task[None] | None = None

    async def run(self, opened: Callable[[View], None]) -> int:
        """Calls ``opened`` once the folder is ours, before anything is shown. Returns the exit code.

        Raises CrdtsyncError for what ended it.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._replica.stop)
        try:
            await self._replica.run(partial(self._opened, opened))
        finally:
            if self._redraw is not None:
                self._redraw.cancel()
            await self._stop_extras()
            self._view.stop()
        if self._failed is not None:
            raise self._failed
        return EXIT_DONE

    async def _opened(self, opened: Callable[[View], None]) -> None:
        """The folder is ours: listen for commands, show, and with --once wait for the end."""
        replica = self._replica
        await listen(replica, self._extras)
        opened(self._view)
        self._view.start()
        if self._once:
            self._ending = asyncio.create_task(self._end_when_settled())

    async def _stop_extras(self) -> None:
        await self._extras.aclose()
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)

    async def _end_when_settled(self) -> None:
        await self._replica.flush(since_start=True)
        self._show()
        self._replica.stop()

    # -- the replica's observer -----------------------------------------------------------------------

    def notice(self, kind: str, path: str, message: str) -> None:
        self._view.notice(kind, path, message)
        if self._once and self._replica.unreachable is not None:
            self._failed = self._replica.unreachable
            self._replica.stop()
        self.changed()

    def changed(self) -> None:
        """Show it soon; a burst of changes is shown once."""
        if self._redraw is None:
            self._redraw = asyncio.get_running_loop().call_later(REDRAW_S, self._show)

    def _show(self) -> None:
        self._redraw = None
        status = self._replica.status
        if status is not None:
            self._view.show(status, self._replica.transfers, self._replica.unreachable)
            if self._replica.transfers:
                self.changed()

    async def ask(self, question: AskDiffering) -> Differing:
        self._view.comparison(question)
        wanted = self._options.differing
        if wanted is not None or not question.differing:
            return wanted or Differing.BOTH
        return await self._view.ask(question)
