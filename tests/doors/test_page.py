"""The CodeMirror example in a real browser: what is typed in the page is in the file, and the other way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.doors.chromium import EXAMPLE, Chromium, Page, missing
from tests.doors.node import need
from tests.processes.harness import Hub, Joined
from tests.waiting import eventually

TEXT = "doc.getText('content').toString()"


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    """A web server with the example."""
    need(missing())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(EXAMPLE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def editor(browser: Chromium, origin: str, hub: str, file: str, name: str) -> Page:
    page = browser.open(f"{origin}/?{urlencode({'hub': hub, 'file': file, 'name': name})}")
    page.until("window.provider?.synced", True)
    page.run("view.focus()")
    return page


def test_a_page_and_a_folder_edit_one_file(tmp_path: Path, origin: str) -> None:
    with (
        Hub(tmp_path / "hub", 0, "--allow-origin", origin) as hub,
        Joined(hub.url, tmp_path / "bob", name="Bob") as bob,
        Chromium() as browser,
    ):
        bob.wait_for("state", state="settled")
        file = bob.folder / "Zoë 日本.md"
        file.write_bytes("first\r\nsecond 🎈\r\n".encode())
        bob.flush()
        ann = editor(browser, origin, hub.url, f"notes/{file.name}", "Ann")
        ann.until(TEXT, "first\r\nsecond 🎈\r\n")
        ann.run("view.dispatch({selection: {anchor: view.state.doc.length}})")
        ann.type("typed ü🎈\nthird")
        expected = "first\r\nsecond 🎈\r\ntyped ü🎈\nthird"
        eventually(lambda: file.read_bytes().decode() == expected, "the file has what was typed")
        file.write_bytes(expected.replace("second", "2nd").encode())
        expected = expected.replace("second", "2nd")
        ann.until(TEXT, expected)
        ann.until("view.state.doc.toString()", expected)
        carl = editor(browser, origin, hub.url, f"notes/{file.name}", "Carl")
        carl.until(TEXT, expected)
        ann.until("document.getElementById('people').textContent.split(', ').sort().join()", "Ann,Bob,Carl")
        carl.until("document.querySelectorAll('.cm-ySelectionCaret').length", 1)
        here = {"name": "Carl", "editing": [file.name]}
        eventually(lambda: here in bob.status()["peers"], "Carl is among the peers")
        new = editor(browser, origin, hub.url, "notes/new/file.txt", "Ann")
        new.type("made in a page")
        made = bob.folder / "new" / "file.txt"
        eventually(lambda: made.exists() and made.read_text() == "made in a page", "the new file is there")
        refused = browser.open(f"{origin}/?{urlencode({'hub': hub.url, 'file': 'notes/.git/config'})}")
        refused.until("document.getElementById('status').textContent.includes('never shared')", True)


def test_a_page_of_another_origin_gets_nothing(tmp_path: Path, origin: str) -> None:
    with Hub(tmp_path / "hub") as hub, Chromium() as browser:
        page = browser.open(f"{origin}/?{urlencode({'hub': hub.url, 'file': 'notes/a.md'})}")
        page.run("new Promise(done => provider.on('connection-close', () => done()))")
        assert page.run("provider.synced") is False
