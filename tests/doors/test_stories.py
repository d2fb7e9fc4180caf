"""Random stories of pages and folders in one room: nothing typed is lost or doubled, and all see the same."""

from __future__ import annotations

import os
import re
from random import Random

import pytest

from crdtsync.core.hub.effects import Append, LoadDocuments
from crdtsync.core.text.diff import Edit
from crdtsync.core.wire.yjs import SyncUpdate
from tests.doors.clients import Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench

STORIES = int(os.environ.get("CRDTSYNC_STORIES", "60"))
FIRST = int(os.environ.get("CRDTSYNC_FIRST_STORY", "1"))
PATHS = ("a.txt", "b.txt", "c.txt")


class Story:
    """Everything typed is a token that occurs nowhere else."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.bench = Bench()
        self.folders = [Folder(self.bench, name="Bob"), Folder(self.bench, name="Eve")]
        self.pages: list[tuple[str, Page, YjsClient | None]] = []
        self.typed: set[str] = set()
        self.deleted: set[str] = set()
        """Tokens that someone who had them on disk took away."""
        self._tokens = 0

    def token(self) -> str:
        self._tokens += 1
        token = f"<{self._tokens}>"
        self.typed.add(token)
        return token

    def act(self) -> None:
        rng = self.rng
        if rng.random() < 0.2:
            self.bench.hold = {rng.choice([LoadDocuments, Append])}
        elif self.bench.hold and rng.random() < 0.3:
            self.bench.release()
        rng.choices(
            [
                self.open,
                self.come_back,
                self.leave,
                self.type,
                self.create,
                self.edit,
                self.rename,
                self.delete,
            ],
            [2, 3, 2, 8, 2, 4, 1, 2],
        )[0]()

    def open(self) -> None:
        if len(self.pages) < 5:
            path, page = self.rng.choice(PATHS), Page(100 + len(self.pages))
            self.pages.append((path, page, YjsClient(self.bench, page, path)))

    def come_back(self) -> None:
        for number, (path, page, client) in enumerate(self.pages):
            if client is None or client.closed is not None:
                self.pages[number] = (path, page, YjsClient(self.bench, page, path))
                return

    def leave(self) -> None:
        number = self.pick(len(self.pages))
        if number is not None:
            path, page, client = self.pages[number]
            if client is not None and client.closed is None:
                client.leave()
            self.pages[number] = (path, page, None)

    def type(self) -> None:
        number = self.pick(len(self.pages))
        if number is None:
            return
        _, page, client = self.pages[number]
        update = page.type(self.token(), self.rng.choice([None, 0]))
        if client is not None and client.closed is None:
            client.say(SyncUpdate(update))

    def create(self) -> None:
        folder = self.rng.choice(self.folders)
        free = [path for path in PATHS if path not in folder.read()]
        if free:
            folder.create(self.rng.choice(free), self.token())

    def edit(self) -> None:
        folder, path = self.file()
        if path is not None:
            folder.edit(folder.at(path), [Edit(0, 0, self.token())])

    def rename(self) -> None:
        folder, path = self.file()
        target = self.rng.choice(PATHS)
        if path is not None and target not in folder.read():
            folder.rename(folder.at(path), target)

    def delete(self) -> None:
        folder, path = self.file()
        if path is not None:
            entry = folder.at(path)
            self.deleted.update(tokens(folder.text(entry).text))
            folder.delete(entry)

    def file(self) -> tuple[Folder, str | None]:
        folder = self.rng.choice(self.folders)
        files = sorted(folder.read())
        return folder, self.rng.choice(files) if files else None

    def pick(self, count: int) -> int | None:
        return self.rng.randrange(count) if count else None

    def end(self) -> dict[str, str]:
        """Everyone comes back; the files that both folders have."""
        self.bench.release()
        for number, (path, page, client) in enumerate(self.pages):
            if client is None or client.closed is not None:
                self.pages[number] = (path, page, YjsClient(self.bench, page, path))
        for _ in range(3):
            files = [folder.read() for folder in self.folders]
        assert files[0] == files[1]
        return files[0]


def tokens(text: str) -> list[str]:
    return re.findall(r"<\d+>", text)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + STORIES))
def test_nothing_typed_is_lost_or_doubled_and_all_see_the_same(seed: int) -> None:
    story = Story(seed)
    for _ in range(60):
        story.act()
    files = story.end()
    found = [token for text in files.values() for token in tokens(text)]
    for path, text in files.items():
        assert len(set(tokens(text))) == len(tokens(text)), f"doubled in {path}: {text}"
    for folder in story.folders:
        documents = {token for text in folder.texts.values() for token in set(tokens(text.text))}
        assert len(documents) == sum(len(set(tokens(text.text))) for text in folder.texts.values()), "mixed"
    closed = [page for _, page, client in story.pages if client and client.closed]
    refused = {token for page in closed for token in tokens(page.text)}
    lost = story.typed - set(found) - story.deleted - refused
    assert not lost, (lost, files)
    for path, page, client in story.pages:
        assert client is not None
        if client.closed is not None:
            assert client.closed.code == 4409, client.closed
        elif not any(page.text == text for text in files.values()):
            # it has a deleted file open, and has typed nothing since
            assert set(tokens(page.text)) <= story.deleted, (path, page.text, files)
