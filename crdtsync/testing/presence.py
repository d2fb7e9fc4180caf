"""Who is shown to whom in a room at rest: everyone who is connected, by what they say of themselves.

Folders and programs are told of each other and of the connections of pages, by name; pages are shown the
states of those with the same text, and the folders and programs of the room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crdtsync.core.hub.doors.awareness import OURS
from crdtsync.core.hub.doors.crossing import SOMEONE, name_in
from crdtsync.core.hub.doors.places import shares_history
from crdtsync.core.wire.awareness import ClientState
from crdtsync.testing.memory_hub_store import MemoryHubStore
from crdtsync.testing.page import Page
from crdtsync.testing.virtual_awareness import OUTDATED_S

TOLD_WITHIN_S: Final = 2.0
RENEWED_WITHIN_S: Final = 20.0
"""Who comes back says what the others had forgotten already, and only what they renew is news to them."""
OUTDATED_WITHIN_S: Final = OUTDATED_S + 3.0
"""What a client says late of a page that is gone, or hears, lasts until nobody has renewed it for long."""


@dataclass(frozen=True, slots=True)
class Amiss:
    """``within_s``: how long that may be so."""

    what: str
    within_s: float = TOLD_WITHIN_S


@dataclass(frozen=True, slots=True)
class Here:
    """``members``: folders and programs by name, with the names that each is told. ``texts``: the documents
    of which each page has the history: one that has none, or of several since a hub was restored, may be
    with anyone."""

    members: Mapping[str, Sequence[str]]
    pages: Sequence[Page]
    texts: Mapping[str, frozenset[str]]

    def amiss(self) -> list[Amiss]:
        """Who is shown and is not here, and who is here and not shown."""
        return [*self._amiss()]

    def _amiss(self) -> Iterator[Amiss]:
        connections = [*self._connections()]
        for name, told in self.members.items():
            yield from _differ(name, Counter(self.members.keys() - {name}), connections, told)
        for page in self.pages:
            states = page.people
            folders = [_name(state) for client, state in states.items() if client >= OURS]
            yield from _differ(page.name, Counter(self.members.keys()), (), folders)
            yield from self._amiss_beside(page, {k: v for k, v in states.items() if k < OURS})

    def _amiss_beside(self, page: Page, shown: dict[int, str]) -> Iterator[Amiss]:
        """Of what a page is shown of the others."""
        mine = self.texts[page.name]
        for other in self.pages:
            theirs = self.texts[other.name]
            state = shown.pop(other.client_id, None)
            if other is page or state == other.state:
                continue
            if state is not None or (len(mine) == 1 and mine == theirs):
                what = f"{page.name} is shown {state} of {other.name} in {page.path}, not {other.state}"
                yield Amiss(what, RENEWED_WITHIN_S if state is None else TOLD_WITHIN_S)
        late = {client for other in self.pages for client in other.late}
        for client, state in shown.items():
            what = f"{page.name} is shown {state} of {client} in {page.path}, who is not here"
            yield Amiss(what, OUTDATED_WITHIN_S if client in late else TOLD_WITHIN_S)

    def _connections(self) -> Iterator[frozenset[str]]:
        """What each connection may be called by: the name of someone in front of it."""
        at: dict[int, set[str]] = {}
        for page in self.pages:
            if page.state is not None:
                at.setdefault(id(page.link), set()).add(_name(page.state))
                at[id(page.link)].update(map(_name, page.late.values()))
        return map(frozenset, at.values())


def texts_of(pages: Iterable[Page], store: MemoryHubStore) -> dict[str, frozenset[str]]:
    return {
        page.name: frozenset(
            document
            for document, text in store.texts(page.room)
            if shares_history(page.state_vector, text.state_vector)
        )
        for page in pages
    }


def _differ(
    who: str, due: Counter[str], connections: Sequence[frozenset[str]], told: Iterable[str]
) -> Iterator[Amiss]:
    shown = Counter(told)
    for name in (due - shown).elements():
        yield Amiss(f"{who} is not shown {name}", RENEWED_WITHIN_S)
    more = shown - due
    for names in sorted(connections, key=len):
        found = next((name for name in sorted(names) if more[name]), None)
        if found is None:
            yield Amiss(f"{who} is not shown the page of {' or '.join(sorted(names))}", RENEWED_WITHIN_S)
        else:
            more[found] -= 1
    for name in more.elements():
        yield Amiss(f"{who} is shown {name}, who is not here")


def _name(state: str) -> str:
    return name_in([ClientState(0, 0, state)]) or SOMEONE
