"""A hostile hub writes nothing outside of the folder, deletes nothing for good, and makes no replica spin."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.core.values.digests import digest_of
from crdtsync.testing.fuzzing.choices import Choices
from tests.fuzz import hostile_hub
from tests.fuzz.hostile_hub import HostileHub


@given(st.binary(min_size=40, max_size=400))
@settings(max_examples=40, derandomize=True, deadline=None, database=None)
def test_a_hostile_hub_does_no_lasting_harm(entropy: bytes) -> None:
    hostile_hub.run(entropy)


def begun(parent: Path) -> HostileHub:
    hub = HostileHub(parent, Choices(b""))
    hub.station.pass_time(0.1)
    hub.greet()
    hub.station.pass_time(1.0)
    return hub


def test_an_entry_that_changes_its_kind_is_another_than_the_file_that_stands_there(tmp_path: Path) -> None:
    hub = begun(tmp_path)
    hub.forge(("kind", hub.entry_at("a.txt"), "dir"), ("kind", hub.entry_at("d.bin"), "link"))
    hub.station.pass_time(60.0)
    hub.judge()
    hub.station.close()


def begun_with_a_link(parent: Path) -> tuple[HostileHub, str]:
    """It leads to ``a.txt`` from where it stands, two folders deep, and out of the room from above."""
    hub = begun(parent)
    entry, target = "0e" * 12, "../../a.txt"
    version = {"size": len(target), "by": "M", "at": 0, "target": target}
    hub.forge(
        ("kind", entry, "link"),
        ("path", entry, "new/deep/link"),
        ("versions", f"{entry}:{digest_of(target.encode())}", version),
    )
    return hub, entry


def test_a_link_does_not_lead_out_by_being_renamed(tmp_path: Path) -> None:
    hub, entry = begun_with_a_link(tmp_path)
    assert (hub.root / "new/deep/link").is_symlink()
    hub.forge(("path", entry, "new/link"))
    hub.station.pass_time(5.0)
    assert not (hub.root / "new/deep/link").is_symlink()
    assert not (hub.root / "new/link").is_symlink()
    hub.forge(("path", entry, "new/other/link"))
    hub.station.pass_time(5.0)
    assert (hub.root / "new/other/link").is_symlink()
    hub.judge()
    hub.station.close()


def test_two_links_do_not_lead_out_by_changing_places(tmp_path: Path) -> None:
    hub, entry = begun_with_a_link(tmp_path)
    hub.forge(("path", entry, "a.txt"), ("path", hub.entry_at("a.txt"), "new/deep/link"))
    hub.station.pass_time(60.0)
    assert not (hub.root / "a.txt").is_symlink()
    assert "token0x" in (hub.root / "new/deep/link").read_text()
    hub.judge()
    hub.station.close()


def test_a_file_that_is_to_stand_where_its_own_full_folder_is_makes_nobody_spin(tmp_path: Path) -> None:
    hub = begun(tmp_path)
    (hub.root / "sub/kept~").write_text("not shared\n")
    hub.forge(
        ("path", hub.entry_at("sub/b.txt"), "b.txt"),
        ("path", hub.entry_at("sub/deep/c.txt"), "c.txt"),
        ("path", hub.entry_at("in"), "elsewhere/in"),
        ("path", hub.entry_at("sub/e.bin"), "sub"),
    )
    hub.station.pass_time(120.0)
    assert (hub.root / "sub/kept~").read_text() == "not shared\n"
    files = [path for path in hub.root.rglob("*") if path.is_file() and ".crdtsync" not in path.parts]
    assert any(b"token4x" in path.read_bytes() for path in files), "it waits under another name"
    hub.judge()
    hub.station.close()
