"""Lines that join a room, and links inside a folder that may not lead out of it."""

from __future__ import annotations

import pytest

from crdtsync.core.values.links import Link, is_here, is_link, read_link
from crdtsync.core.values.paths import link_leads_out
from crdtsync.errors import InvalidName


@pytest.mark.parametrize(
    "link",
    [
        Link("wss://hub.example", "notes", "secret"),
        Link("ws://127.0.0.1:8765", "notes"),
        Link("wss://hub.example/below", "été", "secret"),
    ],
)
def test_a_line_that_joins_is_read_as_it_was_written(link: Link) -> None:
    assert is_link(str(link))
    assert read_link(f"  {link}\n") == link
    assert "secret" not in repr(link)


@pytest.mark.parametrize(
    "text",
    [
        "https://hub.example/notes#secret",
        "crdtsync+wss://hub.example#secret",
        "crdtsync+wss://hub.example/#secret",
        "crdtsync+wss:///notes#secret",
        "crdtsync+wss://[::1/notes#secret",
        "crdtsync+wss://hub.example/notes?x=1#secret",
        "crdtsync+wss://hub.example/two%20words#secret",
    ],
)
def test_a_line_that_names_no_room_is_refused_without_telling_its_token(text: str) -> None:
    with pytest.raises(InvalidName) as refused:
        read_link(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("link", "a.md", False),
        ("d/link", "../a.md", False),
        ("d/e/link", "./../../a.md", False),
        ("link", "", True),
        ("link", "/etc/passwd", True),
        ("link", "../a.md", True),
        ("d/link", "other/../../a.md", True),
        ("link", ".git/config", True),
        ("d/link", "../.GIT/config", True),
    ],
)
def test_a_link_that_may_lead_out_of_the_folder_or_into_a_repository_is_known(
    path: str, target: str, out: bool
) -> None:
    assert link_leads_out(path, target) is out


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("ws://127.0.0.1:4747", True),
        ("ws://[::1]:4747", True),
        ("wss://localhost", True),
        ("ws://192.168.1.7:4747", False),
        ("wss://hub.example/localhost", False),
    ],
)
def test_only_an_address_of_loopback_is_reached_from_here_alone(address: str, here: bool) -> None:
    assert is_here(address) is here
