"""The hub's invites on disk: private, durable, whole, and clear about what is wrong with them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from crdtsync.adapters.access_store import AccessStore
from crdtsync.core.hub.admission import Credentials
from crdtsync.core.hub.invites import Invite, new_identity, read_token, token_of
from crdtsync.core.values import limits
from crdtsync.errors import CrdtsyncError, StoreError

NOW_S = 1_800_000_000


def invite(seed: int = 1, made_s: int = NOW_S, expires_s: int | None = None) -> Invite:
    return Invite(new_identity(Random(seed)), "notes", False, "Zoë", made_s, expires_s)


def test_before_the_first_invite_there_is_nothing(tmp_path: Path) -> None:
    assert AccessStore(tmp_path / "hub").load() == Credentials()
    assert not (tmp_path / "hub").exists()


def test_what_was_added_is_there_for_the_next_process_and_for_nobody_else(tmp_path: Path) -> None:
    key = AccessStore(tmp_path).add(invite())
    loaded = AccessStore(tmp_path).load()
    assert loaded == Credentials(key, {invite().identity: invite()})
    assert read_token(token_of(invite(), key), key) == invite().identity
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "access").iterdir()}
    assert modes == {"key": 0o600, "invites.json": 0o600, "lock": 0o600}
    assert stat.S_IMODE((tmp_path / "access").stat().st_mode) == 0o700
    assert b"eyJ" not in (tmp_path / "access" / "invites.json").read_bytes()


def test_many_who_invite_at_once_all_do(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda seed: AccessStore(tmp_path).add(invite(seed)), range(40)))
    assert len(keys) == 1
    assert len(AccessStore(tmp_path).load().invites) == 40


def test_a_revoked_invite_stays_revoked_since_when_it_was(tmp_path: Path) -> None:
    store = AccessStore(tmp_path)
    for seed in (1, 2):
        store.add(invite(seed))
    store.revoke([invite(1).identity], NOW_S + 5)
    store.revoke([invite(1).identity], NOW_S + 9)
    found = store.load().invites
    assert [found[invite(seed).identity].revoked_s for seed in (1, 2)] == [NOW_S + 5, None]


def test_those_that_ended_long_ago_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INVITES_MAX", 2)
    store = AccessStore(tmp_path)
    store.add(invite(1, expires_s=NOW_S + 1))
    store.add(invite(2))
    with pytest.raises(CrdtsyncError, match="crdtsync revoke"):
        store.add(invite(3, made_s=NOW_S + 100))
    later = NOW_S + 2 + int(limits.INVITE_LISTED_S)
    store.add(invite(3, made_s=later))
    assert set(store.load().invites) == {invite(2).identity, invite(3).identity}


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    store = AccessStore(tmp_path)
    store.add(invite())
    (tmp_path / "access" / "key").chmod(0o640)
    with pytest.raises(StoreError, match=r"mode 640.*chmod 600"):
        store.load()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("key", b"too short\n"),
        ("key", b"00" * 31),
        ("key", b"\xff" * 64),
        ("invites.json", b"[{"),
        ("invites.json", b"[{}]"),
        ("invites.json", b"[" * 100_000),
    ],
)
def test_damage_is_told_with_what_to_do(tmp_path: Path, name: str, content: bytes) -> None:
    store = AccessStore(tmp_path)
    store.add(invite())
    (tmp_path / "access" / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name}.*backup"):
        store.load()


def test_a_link_in_the_place_of_the_key_is_not_followed(tmp_path: Path) -> None:
    store = AccessStore(tmp_path)
    store.add(invite())
    key = tmp_path / "access" / "key"
    key.rename(tmp_path / "elsewhere")
    key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be used"):
        store.load()
