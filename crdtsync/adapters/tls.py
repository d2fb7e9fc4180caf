"""TLS of both ends: the hub's certificate, read anew once it was renewed, and whom a replica trusts."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from crdtsync.core.values.ids import printable
from crdtsync.errors import CrdtsyncError

_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


class HubCertificate:
    """``context`` is for the listening socket; a new connection gets the certificate that is on disk then."""

    def __init__(self, certificate: Path, key: Path, trouble: Callable[[str], None]) -> None:
        """``trouble`` is told when a renewed one cannot be used; the old one then goes on.

        Raises CrdtsyncError.
        """
        self._certificate = certificate
        self._key = key
        self._trouble = trouble
        self._told = ""
        self._stamp = self._stamp_now()
        self._current = self._load()
        self.context = self._current
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called at the begin of every handshake, also for a client that names no host."""
        try:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._stamp = stamp
                self._current = self._load()
            self._told = ""
        except CrdtsyncError as error:
            if str(error) != self._told:
                self._told = str(error)
                self._trouble(f"{error} Connections go on with the certificate from before.")
        connection.context = self._current

    def _stamp_now(self) -> _Stamp:
        """Changes when either file was replaced or written."""
        try:
            found = [os.stat(path) for path in (self._certificate, self._key)]
        except OSError as error:
            raise CrdtsyncError(_unreadable(Path(error.filename), error)) from error
        return tuple((status.st_mtime_ns, status.st_ino, status.st_size) for status in found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except ssl.SSLError as error:
            raise CrdtsyncError(
                f"{printable(str(self._certificate))} and {printable(str(self._key))} are no certificate "
                f"chain and its key in PEM form, without a password: {error.reason or error}."
            ) from error
        except OSError as error:
            raise CrdtsyncError(_unreadable(self._key, error)) from error
        return context


def client_context(ca: Path | None) -> ssl.SSLContext:
    """Verifies as usual; with ``ca`` (a PEM file) trusts the authorities in it, and no others.

    Raises CrdtsyncError.
    """
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except ssl.SSLError as error:
        raise CrdtsyncError(
            f"{printable(str(ca))} holds no certificate authority in PEM form: {error.reason or error}."
        ) from error
    except OSError as error:
        assert ca is not None
        raise CrdtsyncError(_unreadable(ca, error)) from error


def _no_password() -> str:
    """A hub starts without anybody there to type one."""
    raise CrdtsyncError("The key of the certificate has a password; give the hub one without (mode 600).")


def _unreadable(path: Path, error: OSError) -> str:
    return f"{printable(str(path))} cannot be read: {error.strerror or error}."
