"""What a running replica answers on its control socket; the shapes are those of the commands' --json."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from crdtsync.errors import CrdtsyncError, HubUnreachable
from crdtsync.runtime.replica import Replica

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


def handlers_for(replica: Replica) -> dict[str, Handler]:
    """One handler per method."""

    async def status(_: Mapping[str, Any]) -> dict[str, Any]:
        now = replica.status
        assert now is not None
        pending = now.pending
        return {
            "room": replica.options.room,
            "hub": replica.hub,
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
                for transfer in replica.transfers
            ],
        }

    async def flush(parameters: Mapping[str, Any]) -> dict[str, Any]:
        timeout_s = parameters.get("timeout_s")
        if replica.unreachable is not None:
            raise HubUnreachable(str(replica.unreachable))
        try:
            async with asyncio.timeout(timeout_s if isinstance(timeout_s, int | float) else None):
                await replica.flush()
        except TimeoutError:
            if replica.unreachable is not None:
                raise HubUnreachable(str(replica.unreachable)) from None
            raise CrdtsyncError(f"not settled within {timeout_s:g} s; see crdtsync status") from None
        return {}

    async def conflicts(_: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"path": copy.path, "copy_of": copy.copy_of, "by": copy.by, "at": copy.at_ms}
            for copy in replica.conflicts
        ]

    async def resolve(parameters: Mapping[str, Any]) -> dict[str, Any]:
        path, keep = parameters.get("path"), parameters.get("keep")
        found = next((copy for copy in replica.conflicts if copy.path == path), None)
        if found is None:
            raise CrdtsyncError(f"{path} is no conflict copy; crdtsync conflicts lists them")
        touched = await asyncio.to_thread(
            replica.folder.resolve_conflict, found.path, found.copy_of, keep == "copy"
        )
        replica.look_again(touched)
        return {}

    async def confirm(_: Mapping[str, Any]) -> dict[str, Any]:
        replica.confirm()
        return {}

    async def restore(_: Mapping[str, Any]) -> dict[str, Any]:
        replica.restore()
        return {}

    async def trash(_: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "path": trashed.path,
                "trashed_at": trashed.trashed_at,
                "reason": trashed.reason,
                "location": trashed.location,
            }
            for trashed in await asyncio.to_thread(replica.folder.list_trash)
        ]

    async def untrash(parameters: Mapping[str, Any]) -> dict[str, Any]:
        restored = await asyncio.to_thread(replica.folder.restore_from_trash, str(parameters.get("path")))
        replica.look_again([restored])
        return {"path": restored}

    return {
        "status": status,
        "flush": flush,
        "conflicts": conflicts,
        "resolve": resolve,
        "confirm": confirm,
        "restore": restore,
        "trash": trash,
        "untrash": untrash,
    }
