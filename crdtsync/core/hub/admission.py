"""Who may enter a room and what they may do there: one pure function that every door of the hub asks.

What an invite is and how its token reads is in ``invites``; what a web page may ask for is in ``webpages``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, assert_never

from crdtsync.core.hub.invites import Invite, read_token


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a connection comes from. ``local``: this machine, and nobody in between said that it passes
    on what others ask."""

    address: str
    local: bool


HERE = Peer("127.0.0.1", local=True)


@dataclass(frozen=True, slots=True)
class Asking:
    """What someone shows at a door. ``path``: the one document that is wanted; None: the whole room."""

    room: str
    token: str | None = None
    path: str | None = None
    peer: Peer = HERE


@dataclass(frozen=True, slots=True)
class Granted:
    """May enter. ``name``: who it is, whatever they say, or ``""``; ``invite``: by which, or ``""``.

    ``until_s``: seconds since 1970 at which it ends; None: it does not.
    """

    read_only: bool = False
    name: str = ""
    invite: str = ""
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """May not enter. ``reason`` is for the person who asked, and says nothing of what the hub has.

    Whoever is at the door tells it after ``after_s`` seconds: who guesses is slowed, nobody else is.
    """

    reason: str
    after_s: float = 0.0


Admit: TypeAlias = Callable[[Asking], Granted | Denied]


class Demand(Enum):
    """Of whom a hub asks for an invite."""

    NOBODY = "nobody"
    REMOTE = "remote"
    """Of everyone but this machine."""
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the hub checks tokens by. ``key`` None: no invite was ever made."""

    key: bytes | None = field(default=None, repr=False)
    invites: Mapping[str, Invite] = field(default_factory=dict)


NO_TOKEN = "This hub asks for an invite: join with the line that 'crdtsync invite' printed for you."
NOT_VALID = "This invite is not valid here: ask whoever runs the hub for another."
EXPIRED = "This invite has expired: ask whoever runs the hub for another."
REVOKED = "This invite was revoked: ask whoever runs the hub for another."
OTHER_ROOM = "This invite is for another room."
READ_ONLY = "This invite lets you read only: nothing was stored."


def decide(asking: Asking, demand: Demand, credentials: Credentials, now_s: float) -> Granted | Denied:
    """``now_s``: seconds since 1970. A token of this hub always counts, even where none is demanded."""
    problem = NO_TOKEN
    if asking.token is not None:
        answer = _by_token(asking.token, asking.room, credentials, now_s)
        if isinstance(answer, Granted):
            return answer
        if answer is not NOT_VALID:
            return Denied(answer)
        problem = NOT_VALID
    match demand:
        case Demand.NOBODY:
            return Granted()
        case Demand.REMOTE:
            return Granted() if asking.peer.local else Denied(problem)
        case Demand.EVERYBODY:
            return Denied(problem)
        case _:
            assert_never(demand)


def still_holds(granted: Granted, credentials: Credentials, now_s: float) -> str | None:
    """Why someone who is inside has to leave, or None."""
    if not granted.invite:
        return None
    invite = credentials.invites.get(granted.invite)
    if invite is None or invite.revoked_s is not None:
        return REVOKED
    return EXPIRED if invite.is_expired(now_s) else None


def _by_token(token: str, room: str, credentials: Credentials, now_s: float) -> Granted | str:
    """What the token gives, or why it gives nothing. Who cannot sign learns nothing but NOT_VALID."""
    identity = None if credentials.key is None else read_token(token, credentials.key)
    if identity is None:
        return NOT_VALID
    invite = credentials.invites.get(identity)
    if invite is None or invite.revoked_s is not None:
        return REVOKED
    if invite.is_expired(now_s):
        return EXPIRED
    if invite.room != room:
        return OTHER_ROOM
    return Granted(invite.read_only, invite.name, invite.identity, invite.expires_s)


def is_valid(token: str, credentials: Credentials, now_s: float) -> bool:
    """Whether the token is that of an invite to any room."""
    identity = None if credentials.key is None else read_token(token, credentials.key)
    invite = None if identity is None else credentials.invites.get(identity)
    return invite is not None and invite.revoked_s is None and not invite.is_expired(now_s)


def everyone(asking: Asking) -> Granted | Denied:
    """For a hub that is open to all who reach it."""
    return Granted()
