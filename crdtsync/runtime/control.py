"""What a running replica answers on its control socket; the shapes are those of the commands' --json."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from crdtsync.errors import CrdtsyncError, HubUnreachable
from crdtsync.runtime.replica import Replica

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Control:
    """``handlers``: by method, what takes its parameters and gives the answer, which goes out as JSON."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.handlers: dict[str, Handler] = {
            "status": self._status,
            "flush": self._flush,
            "conflicts": self._conflicts,
            "resolve": self._resolve,
            "confirm": self._confirm,
            "restore": self._restore,
            "trash": self._trash,
            "untrash": self._untrash,
        }

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        now = self._replica.status
        assert now is not None
        pending = now.pending
        return {
            "room": self._replica.options.room,
            "hub": self._replica.hub,
            "state": now.state,
            "connected": now.connected,
            "pending": {
                "ingest": pending.ingest,
                "send": pending.send,
                "receive": pending.receive,
                "materialise": pending.materialise,
            },
            "peers": [{"name": peer.name, "editing": list(peer.editing)} for peer in now.peers],
            "attention": [
                {"path": item.path, "kind": item.kind, "message": item.message} for item in now.attention
            ],
            "transfers": [
                {
                    "name": transfer.path or transfer.digest,
                    "direction": transfer.direction,
                    "done": transfer.done_bytes,
                    "total": transfer.total_bytes,
                }
                for transfer in self._replica.transfers
            ],
        }

    async def _flush(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        timeout_s = parameters.get("timeout_s")
        if self._replica.unreachable is not None:
            raise HubUnreachable(str(self._replica.unreachable))
        try:
            async with asyncio.timeout(timeout_s if isinstance(timeout_s, int | float) else None):
                await self._replica.flush()
        except TimeoutError:
            if self._replica.unreachable is not None:
                raise HubUnreachable(str(self._replica.unreachable)) from None
            raise CrdtsyncError(f"not settled within {timeout_s:g} s; see crdtsync status") from None
        status = self._replica.status
        return {"attention": 0 if status is None else len(status.attention)}

    async def _conflicts(self, _: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"path": copy.path, "copy_of": copy.copy_of, "by": copy.by, "at": copy.at_ms}
            for copy in self._replica.conflicts
        ]

    async def _resolve(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        path, keep = parameters.get("path"), parameters.get("keep")
        found = next((copy for copy in self._replica.conflicts if copy.path == path), None)
        if found is None:
            raise CrdtsyncError(f"{path} is no conflict copy; crdtsync conflicts lists them")
        touched = await asyncio.to_thread(
            self._replica.folder.resolve_conflict, found.path, found.copy_of, keep == "copy"
        )
        self._replica.look_again(touched)
        return {}

    async def _confirm(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._replica.confirm()
        return {}

    async def _restore(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._replica.restore()
        return {}

    async def _trash(self, _: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "path": trashed.path,
                "trashed_at": trashed.trashed_at,
                "reason": trashed.reason,
                "location": trashed.location,
            }
            for trashed in await asyncio.to_thread(self._replica.folder.list_trash)
        ]

    async def _untrash(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        restored = await asyncio.to_thread(
            self._replica.folder.restore_from_trash, str(parameters.get("path"))
        )
        self._replica.look_again([restored])
        return {"path": restored}
