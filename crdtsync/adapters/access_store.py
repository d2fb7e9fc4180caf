"""The hub's invites and the key that signs them, in ``access/`` of its data folder; not what they mean.

Written by the commands and read by the hub, in one step each, so that whoever reads sees a whole state.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic_core import ValidationError

from crdtsync.adapters.durability import make_durable, write_new_file
from crdtsync.core.hub.admission import Credentials
from crdtsync.core.hub.invites import KEY_BYTES, Invite
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.errors import CrdtsyncError, StoreError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FOLDER: Final = "access"
KEY: Final = "key"
INVITES: Final = "invites.json"
LOCK: Final = "lock"


@cache
def _invites() -> TypeAdapter[list[Invite]]:
    """Made for the first invite: a hub without any is 4 MB smaller without pydantic."""
    from pydantic import TypeAdapter

    return TypeAdapter(list[Invite])


class AccessStore:
    """Any number of processes may use one at the same time."""

    def __init__(self, data: Path) -> None:
        """``data`` is the hub's folder; nothing is made before the first invite."""
        self._data = data
        self.folder = data / FOLDER

    def load(self) -> Credentials:
        """Raises StoreError, also when others on this machine could read the key."""
        with self._translated():
            try:
                key = self._read_key()
            except FileNotFoundError:
                return Credentials()
            return Credentials(key, {invite.identity: invite for invite in self._read_invites()})

    def add(self, invite: Invite) -> bytes:
        """Remember an invite, durably; returns the key, made if there was none yet.

        Invites that ended long ago are forgotten. Raises StoreError, CrdtsyncError when there are too many.
        """
        with self._translated(), self._locked():
            key = self._key()
            invites = self._read_invites()
            kept = [old for old in invites if not _is_over(old, invite.made_s)]
            if len(kept) >= limits.INVITES_MAX:
                raise CrdtsyncError(
                    f"This hub has {len(kept)} invites, as many as it keeps; "
                    "end some with: crdtsync revoke ID"
                )
            self._write_invites([*kept, invite])
            return key

    def prepare(self) -> None:
        """Make the key, if there is none: a hub that asks for invites can start then. Raises StoreError."""
        with self._translated(), self._locked():
            self._key()

    def revoke(self, identities: Sequence[str], now_s: int) -> None:
        """End these invites, durably; one that has ended already stays as it is. Raises StoreError."""
        with self._translated(), self._locked():
            self._write_invites(
                [
                    replace(invite, revoked_s=now_s)
                    if invite.identity in identities and invite.revoked_s is None
                    else invite
                    for invite in self._read_invites()
                ]
            )

    # -- files ----------------------------------------------------------------------------------------

    def _key(self) -> bytes:
        """The key, made if there was none yet; the lock is held."""
        try:
            return self._read_key()
        except FileNotFoundError:
            (self.folder / INVITES).unlink(missing_ok=True)
            key = secrets.token_bytes(KEY_BYTES)
            self._replace(KEY, key.hex().encode() + b"\n")
            return key

    def _read_key(self) -> bytes:
        path = self.folder / KEY
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(fd, "rb") as file:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            text = file.read(4 * KEY_BYTES)
        if mode & 0o077:
            raise StoreError(
                f"{path} can be read by others (mode {mode:o}): whoever has read it can enter every room. "
                f"Remove {self.folder}, which ends all invites, and make new ones; "
                f"or, if nobody else was on this machine: chmod 600 {path}"
            )
        try:
            key = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise StoreError(
                f"{path} holds no key. Bring it back from a backup, or remove {self.folder}, "
                "which ends all invites"
            )
        return key

    def _read_invites(self) -> list[Invite]:
        path = self.folder / INVITES
        try:
            return _invites().validate_json(path.read_bytes())
        except FileNotFoundError:
            return []
        except ValidationError as error:
            raise StoreError(
                f"{path} is damaged ({error.error_count()} errors). Bring it back from a backup, "
                "or remove it, which ends all invites"
            ) from error

    def _write_invites(self, invites: list[Invite]) -> None:
        self._replace(INVITES, _invites().dump_json(invites, indent=1) + b"\n")

    def _replace(self, name: str, content: bytes) -> None:
        """Write a file anew, durably; the lock is held."""
        path, new = self.folder / name, self.folder / f"{name}.new"
        new.unlink(missing_ok=True)
        write_new_file(str(new), content)
        self._give_to_owner(new)
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            make_durable(fd, [str(new)])
            new.rename(path)
            make_durable(fd, [str(self.folder)])
        finally:
            os.close(fd)

    def _give_to_owner(self, path: Path) -> None:
        """Made by root for a hub that runs as someone else: the hub must be able to read it."""
        if os.geteuid() == 0:
            owner = self._data.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)
            self._give_to_owner(self.folder)
        fd = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = printable(str(error.filename or self.folder))
            raise StoreError(
                f"The hub's invites cannot be used: {where}: {error.strerror}. Ask as who runs the hub."
            ) from error


def _is_over(invite: Invite, now_s: int) -> bool:
    ended = [at_s for at_s in (invite.expires_s, invite.revoked_s) if at_s is not None]
    return bool(ended) and min(ended) < now_s - limits.INVITE_LISTED_S
