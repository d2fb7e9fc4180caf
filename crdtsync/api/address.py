"""Which room of which hub: what programs give, made whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from crdtsync.adapters.hub_link import hub_address
from crdtsync.core.values.ids import check_room_name
from crdtsync.core.values.links import is_link, read_link
from crdtsync.errors import InvalidName


@dataclass(frozen=True, slots=True)
class Address:
    hub: str
    room: str
    token: str | None = field(repr=False)


def address_of(hub: str, room: str | None, token: str | None) -> Address:
    """``hub`` may be an invite. Raises InvalidName."""
    if is_link(hub):
        link = read_link(hub)
        if room is not None and room != link.room:
            raise InvalidName(f"The invite is for the room {link.room}, not for {room}")
        return Address(hub_address(link.hub), link.room, link.token or token)
    if room is None:
        raise InvalidName("Say which room: a name, or an invite in place of the hub's address")
    return Address(hub_address(hub), check_room_name(room), token)
