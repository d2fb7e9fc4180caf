"""Keeps files that we displaced for a while, and tells when someone goes on writing to them.

A writer that had a file open when it was replaced or removed writes on into the displaced file. Each late
change is reported against the content that was reported before it (or, the first time, the content that
was expected when the file was displaced): so the edits of an appending writer are each taken once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from crdtsync.adapters.contents import digest_of_file, observe
from crdtsync.adapters.kernel import is_regular
from crdtsync.adapters.staging import BESIDE_SUFFIX, Held, Stage, Staging
from crdtsync.core.replica.steps import Displaced
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind, Present

_POLL_FIRST_S: Final = 0.25
_POLL_S: Final = 1.0
_FRESH_S: Final = 1.0
_FILES_PER_POLL: Final = 256
"""So that steps need not wait long for a poll after a large batch; the rest is due at once."""


@dataclass(slots=True)
class _Kept:
    held: Held
    since_s: float
    due_s: float
    known: Digest
    """The content that was reported last, or that needs no report."""
    signature: tuple[int, int]
    """Size and mtime of the file when it was last found to hold ``known``; (-1, 0): not since it is kept."""
    unsettled: tuple[int, int] | None = None
    unsettled_since_s: float = 0.0
    unsettled_same_since_s: float = 0.0
    reports: dict[int, tuple[Digest, Present]] = field(default_factory=dict)
    """What was reported and is not yet known to be safe elsewhere, by number."""
    reported: int = 0


class DisplacedFiles:
    """All displaced files of a replica; safe to use from several threads.

    ``clock`` gives seconds from any fixed start; the times passed to ``poll`` must be of the same clock.
    """

    def __init__(self, staging: Staging, clock: Callable[[], float]) -> None:
        self._staging = staging
        self._calls = staging.calls
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    # -- coming in --------------------------------------------------------------------------------------

    def keep(self, held: Held, signature: tuple[int, int] = (-1, 0), age_s: float = 0.0) -> None:
        """Watch a file whose content is ``held.base``, or may turn out to be another: then it is reported.

        ``signature`` is its size and mtime when it was found to hold that; ``age_s`` how long ago it was
        displaced, for which a clock that was set forth or back counts little.
        """
        assert held.base is not None
        now_s = self._clock()
        due_s = now_s + (_POLL_FIRST_S if signature[0] >= 0 else limits.SETTLE_QUIET_S)
        if age_s >= limits.DISPLACED_MIN_S:
            due_s = now_s
        since_s = now_s - min(max(0.0, age_s), limits.DISPLACED_MIN_S)
        with self._lock:
            self._kept[held.nonce] = _Kept(held, since_s, due_s, held.base, signature)

    def racing(self, held: Held, seen: Present) -> Displaced:
        """Watch a file that holds a save that raced us; the report is returned, not given again."""
        assert held.base is not None
        now_s = self._clock()
        kept = _Kept(held, now_s, now_s + _POLL_FIRST_S, held.base, (-1, 0))
        with self._lock:
            self._kept[held.nonce] = kept
            return self._report(kept, seen)

    def holds(self, nonce: str) -> bool:
        with self._lock:
            return nonce in self._kept

    @property
    def unread(self) -> bool:
        """Whether it is not known yet of one what it holds: then a poll is due soon.

        Without the lock, which a poll has while it reads: whoever asks must not wait for that.
        """
        return any(kept.signature[0] < 0 for kept in list(self._kept.values()))

    # -- going out --------------------------------------------------------------------------------------

    def drop(self, token: str) -> None:
        """That report has been ingested; it is not repeated after a restart. Unknown tokens are ignored."""
        with self._lock:
            kept, number = self._find(token)
            if kept is None or number not in kept.reports:
                return
            digest, _ = kept.reports[number]
            for earlier in [earlier for earlier in kept.reports if earlier <= number]:
                del kept.reports[earlier]
            with suppress(OSError):
                kept.held = self._staging.rename(kept.held, stage=Stage.DISPLACED, base=digest, new=None)

    def claim(self, token: str) -> tuple[Held, Present] | None:
        """The file of a report, and what the report said; the caller moves it, then calls ``moved``."""
        with self._lock:
            kept, number = self._find(token)
            if kept is None or number not in kept.reports:
                return None
            return kept.held, kept.reports[number][1]

    def moved(self, held: Held) -> None:
        """The file has a name in the folder now."""
        with self._lock:
            self._kept.pop(held.nonce, None)
        self._staging.forget(held)

    # -- watching ---------------------------------------------------------------------------------------

    def poll(self, now_s: float, touched: Iterable[str] = ()) -> tuple[list[Displaced], float | None]:
        """The late changes since the last poll, and when to poll next (None: when there is a displaced file).

        Looks at the files that are due, and at those with a name in ``touched``: the watcher saw a writer.
        """
        found: list[Displaced] = []
        nonces = {name.removesuffix(BESIDE_SUFFIX).rpartition("_")[2] for name in touched}
        with self._lock:
            kept_now = self._kept.values()
            due = [kept for kept in kept_now if kept.due_s <= now_s or kept.held.nonce in nonces]
            due.sort(key=lambda kept: (kept.held.nonce not in nonces, kept.due_s))
            for kept in due[:_FILES_PER_POLL]:
                displaced = self._check(kept, now_s)
                if displaced is not None:
                    found.append(displaced)
            next_due_s = min((kept.due_s for kept in self._kept.values()), default=None)
        return found, next_due_s

    def _check(self, kept: _Kept, now_s: float) -> Displaced | None:
        age_s = now_s - kept.since_s
        kept.due_s = now_s + (_POLL_FIRST_S if age_s < _FRESH_S else _POLL_S)
        try:
            with self._staging.folder(kept.held) as dir_fd:
                return self._check_file(kept, dir_fd, now_s, age_s)
        except FileNotFoundError:
            self._kept.pop(kept.held.nonce, None)
            self._staging.forget(kept.held)
        except OSError:
            # unreadable now; it stays, and a restart looks again
            kept.due_s = now_s + (_POLL_S if kept.signature[0] < 0 else 10 * _POLL_S)
        return None

    def _check_file(self, kept: _Kept, dir_fd: int, now_s: float, age_s: float) -> Displaced | None:
        held = kept.held
        status = self._calls.lstat(held.name, dir_fd)
        signature = (status.st_size, status.st_mtime_ns)
        over = age_s >= limits.DISPLACED_MIN_S
        if signature == kept.signature and not over:
            return None
        if not is_regular(status):  # a link that was replaced: nobody can write to it
            self._finish(kept)
            return None
        fd = self._calls.open_file(held.name, dir_fd)
        try:
            writer = self._calls.open_for_writing_elsewhere(fd)
            if signature == kept.signature:
                if writer is not False and age_s < limits.DISPLACED_MAX_S:
                    return None
            elif writer is not False and not self._is_settled(kept, signature, now_s):
                kept.due_s = now_s + limits.SETTLE_QUIET_S
                return None
            digest = digest_of_file(self._calls, fd)
        finally:
            self._calls.close(fd)
        kept.unsettled = None
        if digest == kept.known:
            kept.signature = signature
            if over and not kept.reports and (writer is False or age_s >= limits.DISPLACED_MAX_S):
                self._finish(kept)
            return None
        seen = observe(self._calls, dir_fd, held.name, held.path, held.kind is Kind.TEXT)
        if not isinstance(seen, Present):
            kept.due_s = now_s + limits.SETTLE_QUIET_S
            return None
        return self._report(kept, seen)

    def _is_settled(self, kept: _Kept, signature: tuple[int, int], now_s: float) -> bool:
        """Whether a file that someone is writing to has been left alone for long enough to be read.

        One that was emptied is about to be written: its writer has until it closes, as a path has.
        """
        if kept.unsettled is None:
            kept.unsettled_since_s = now_s
        if kept.unsettled != signature:
            kept.unsettled = signature
            kept.unsettled_same_since_s = now_s
        waited_s = now_s - kept.unsettled_since_s
        if signature[0] == 0:
            return waited_s >= limits.SETTLE_EMPTIED_MAX_S
        quiet_s = now_s - kept.unsettled_same_since_s
        return quiet_s >= limits.SETTLE_QUIET_S or waited_s >= limits.SETTLE_QUIET_MAX_S

    def _report(self, kept: _Kept, seen: Present) -> Displaced:
        replaced, kept.known = kept.known, seen.content.digest
        kept.signature = (seen.fingerprint.size_bytes, seen.fingerprint.mtime_ns)
        kept.reported += 1
        kept.reports[kept.reported] = (seen.content.digest, seen)
        token = f"{kept.held.nonce}.{kept.reported}"
        return Displaced(token, kept.held.entry, kept.held.path, replaced, seen)

    def _finish(self, kept: _Kept) -> None:
        self._kept.pop(kept.held.nonce, None)
        self._staging.discard(kept.held)

    def _find(self, token: str) -> tuple[_Kept | None, int]:
        nonce, _, number = token.partition(".")
        return self._kept.get(nonce), int(number) if number.isdigit() else 0
