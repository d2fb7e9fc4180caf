"""What a disk step that was carried out, or failed, means for the trees and for what is looked at again."""

from __future__ import annotations

from typing import assert_never

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState, UnderWay
from crdtsync.core.replica.steps import (
    Cause,
    KeepCopy,
    MakeFolder,
    MoveFile,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    SwapFiles,
    WriteFile,
)
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.values.files import Fingerprint


class Outcomes:
    def __init__(self, state: ReplicaState) -> None:
        self._state = state

    def succeeded(self, under_way: UnderWay, fingerprint: Fingerprint | None, now: float) -> None:
        """The step was carried out; ``fingerprint``: of what it put there, if anything."""
        state = self._state
        step, agreed = under_way.step, under_way.agreed
        state.looking.touched(step.path)
        match step:
            case WriteFile(expected=expected, content=content):
                assert agreed is not None
                state.out.notice("received", step.path, "created" if expected is None else "edited")
                state.pacing.wrote(agreed.entry, now)
                state.own_files.put(step.path, fingerprint)
                if content.digest == agreed.digest:
                    self._stands(agreed._replace(fingerprint=fingerprint), now)
                else:  # an edit on top of it stays on this disk
                    seen = OnDisk(agreed.kind, content.digest, fingerprint)
                    state.disk.put(step.path, seen)
                    state.agree(agreed._replace(fingerprint=seen.fingerprint_of(agreed.digest)))
            case SetExecutable() | MakeFolder():
                assert agreed is not None
                self._stands(agreed._replace(fingerprint=fingerprint), now)
            case MoveFile(target=target, expected=expected):
                state.looking.touched(target)
                state.out.notice("received", step.path, f"renamed to {target}")
                state.disk.discard(step.path)
                if agreed is None or state.ignored(target):
                    state.looking.want(target)
                if agreed is None:  # it made room, and belongs to no entry
                    state.held.pop(step.path, None)
                elif expected.digest == agreed.digest:
                    self._stands(agreed._replace(fingerprint=fingerprint), now)
                else:  # an edit that is still to be ingested has moved along
                    state.disk.put(target, OnDisk(agreed.kind, expected.digest, fingerprint))
                    state.agree(agreed)
                    state.looking.want(target)
            case SwapFiles(path=path, other=other):
                self._swapped(path, other, now)
            case RemoveFile(entry=entry):
                state.out.notice("received", step.path, "deleted")
                state.disk.discard(step.path)
                removed = state.synced.get(entry)
                if removed is not None:
                    state.documents.keep_agreed(removed, now)
                state.forget(entry)
            case RemoveFolder():
                self._let_go(under_way)
            case KeepCopy(path=path):
                state.looking.want(path)
            case _:
                assert_never(step)

    def _let_go(self, folder: UnderWay) -> None:
        if folder.entry is not None:
            self._state.disk.discard(folder.step.path)
            self._state.forget(folder.entry)

    def _stands(self, agreed: Synced, now: float) -> None:
        state = self._state
        state.documents.comes(agreed, now)
        state.disk.put(agreed.path, OnDisk(agreed.kind, agreed.digest, agreed.fingerprint))
        state.agree(agreed)

    def _swapped(self, path: str, other: str, now: float) -> None:
        """Both files are where the other was; their fingerprints are learnt by looking."""
        state = self._state
        state.looking.touched(other)
        entries = state.synced.at(path), state.synced.at(other)
        mine, theirs = (state.synced.get(entry) if entry else None for entry in entries)
        for agreed in (mine, theirs):
            if agreed is not None:
                state.documents.left(agreed)
                state.undurable.setdefault(agreed.entry, agreed)  # a power cut may undo the exchange
                state.synced.discard(agreed.entry)
                state.disk.discard(agreed.path)
        for agreed, at in ((mine, other), (theirs, path)):
            if agreed is not None:
                self._stands(agreed._replace(path=at), now)
                state.busy.discard(agreed.entry)
                state.replan([agreed.entry])
                state.looking.want(at)

    def failed(self, under_way: UnderWay, cause: Cause, message: str, now: float) -> None:
        """Nothing was changed; ``message`` tells a person why. It is tried again."""
        state, step = self._state, under_way.step
        if isinstance(step, RemoveFolder) and (cause is Cause.NOT_EMPTY or under_way.entry is None):
            self._let_go(under_way)  # something that is not shared lives in it: it stays
            return
        if isinstance(step, KeepCopy):
            state.looking.want(step.path)
        if under_way.entry is not None:
            quick = cause in (Cause.BLOCKED, Cause.NOT_EMPTY)
            if not quick or under_way.entry in state.retries:
                state.tell(step.path, "failed", message)
            retry = state.retry_later(under_way.entry, step.path, now, 0.25 if quick else 2.0)
            retry.races += 1  # else the look after a step asks for the step again, for ever
        else:
            state.tell(step.path, "failed", message)
