"""People who type into texts in pages, at the hub's doors: by characters and lines, offline or not.

Whatever they type bears tokens, and the ledger is told what they had seen.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from crdtsync.testing.clock import Clock, Trace, shown
from crdtsync.testing.oracles import Ledger
from crdtsync.testing.page import Page
from crdtsync.testing.texts import line
from crdtsync.testing.workloads import FOLDERS, NAMES

DEEDS: Final = {
    "type": 8,
    "type_line": 4,
    "erase": 2,
    "replace": 1,
    "announce": 1,
    "offline": 1,
    "reload": 1,
    "elsewhere": 1,
}
ERASED_MAX_CHARS: Final = 12
OFFLINE_S: Final = (0.05, 1.0, 9.0)

OpenPage = Callable[[str, Random, str, float], Page]
"""Of a name, with its chances, at a path, so many seconds from the hub."""


class Typist:
    """One page at a time. ``texts`` tells the paths of texts; ``left`` is called when a document is gone:
    its page was closed, or was never let open what it had typed into already."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        rng: Random,
        trace: Trace,
        ledger: Ledger,
        texts: Callable[[], list[str]],
        left: Callable[[], None],
        open_page: OpenPage,
    ) -> None:
        self.name = name
        self.done = 0
        self.refusals = 0
        self._clock = clock
        self._rng = rng
        self._trace = trace
        self._ledger = ledger
        self._texts = texts
        self._left = left
        self._open_page = open_page
        self._latency_s = rng.choice((0.0005, 0.005, 0.05, 0.3))
        self.page = self._opened(self._any_path())

    def act(self) -> None:
        """Do something; what turns out to be impossible is not done."""
        if self.page.refused is not None:
            self.refusals += 1
            self._leave(self._any_path())
        deed = self._rng.choices([*DEEDS], [*DEEDS.values()])[0]
        self.perform(deed)

    def perform(self, deed: str) -> None:
        what = getattr(self, f"_{deed}")()
        if what is not None:
            self.done += 1
            self._trace.note(self.name, f"PERSON {deed} {self.page.path} {what}")

    # -- pages --------------------------------------------------------------------------------------

    def _opened(self, path: str) -> Page:
        page = self._open_page(self.name, self._rng, path, self._latency_s)
        page.on_refused = lambda: None if page.was_synced else self._left()
        return page

    def _leave(self, path: str) -> None:
        self.page.close()
        self._left()
        self.page = self._opened(path)

    def _any_path(self) -> str:
        if (texts := self._texts()) and self._rng.random() < 0.8:
            return self._rng.choice(texts)
        folder, name = self._rng.choice(FOLDERS), self._rng.choice(NAMES)
        return f"{folder}/{name}" if folder else name

    # -- deeds: what was done, or None ----------------------------------------------------------------

    def _change(self, start: int, end: int, text: str) -> str:
        before = self.page.text
        self.page.replace(start, end, text)
        self._ledger.saved(self.name, before.encode(), self.page.text.encode())
        return f"{start}..{end} {shown(text.encode())}"

    def _may_type(self) -> bool:
        """Editors show an empty text until the first sync; few let anyone type into it."""
        return self.page.synced or bool(self.page.state_vector.strip(b"\0")) or self._rng.random() < 0.1

    def _type(self) -> str | None:
        if not self._may_type():
            return None
        at = self._rng.randint(0, len(self.page.text))
        return self._change(at, at, self._ledger.new_token() + self._rng.choice(("", "", " ", "\n")))

    def _type_line(self) -> str | None:
        if not self._may_type():
            return None
        text = self.page.text
        at = text.rfind("\n", 0, self._rng.randint(0, len(text))) + 1
        return self._change(at, at, line(self._ledger.new_token()))

    def _erase(self) -> str | None:
        length = len(self.page.text)
        if not length:
            return None
        start = self._rng.randrange(length)
        return self._change(start, min(length, start + self._rng.randint(1, ERASED_MAX_CHARS)), "")

    def _replace(self) -> str | None:
        """A line, as a program in the page does it."""
        text = self.page.text
        if not text:
            return None
        start = text.rfind("\n", 0, self._rng.randrange(len(text))) + 1
        end = text.find("\n", start) + 1 or len(text)
        return self._change(start, end, line(self._ledger.new_token()))

    def _announce(self) -> str:
        self.page.announce({"user": {"name": self.name}, "at": self._rng.randrange(100)})
        return ""

    def _offline(self) -> str:
        page, away_s = self.page, self._rng.choice(OFFLINE_S)
        page.go_offline()
        self._clock.after(away_s, page.go_online)
        return f"for {away_s:g} s"

    def _reload(self) -> str:
        """With a new document, at the same address."""
        self._leave(self.page.path)
        return ""

    def _elsewhere(self) -> str:
        self._leave(self._any_path())
        return ""
