"""What all who are in one room of a world share: its time and chances, its hub, and who wrote what there."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.testing.clock import Clock, Streams, Trace
from crdtsync.testing.oracles import Ledger
from crdtsync.testing.virtual_hub import VirtualHub


@dataclass(frozen=True, slots=True)
class Setting:
    """``prefix`` begins the names of all who are in the room."""

    room: str
    prefix: str
    clock: Clock
    streams: Streams
    trace: Trace
    hub: VirtualHub
    ledger: Ledger
