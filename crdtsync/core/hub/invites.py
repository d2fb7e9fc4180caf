"""An invite and its token: a signed text that names the invite; the only user of PyJWT.

The hub's record of the invite decides what it gives. The token only proves that this hub made it, and repeats
what its bearer may like to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from crdtsync.core.values import limits
from crdtsync.core.values.ids import Randomness

KEY_BYTES: Final = 32
"""As long as the digest of the signature: a longer key adds nothing (RFC 2104)."""
IDENTITY_BYTES: Final = 8
_ALGORITHM: Final = "HS256"
_ISSUER: Final = "crdtsync"


@dataclass(frozen=True, slots=True)
class Invite:
    """``identity``: 16 hex digits by which it is listed and revoked. Times are seconds since 1970."""

    identity: str
    room: str
    read_only: bool
    name: str
    made_s: int
    expires_s: int | None = None
    revoked_s: int | None = None

    def is_expired(self, now_s: float) -> bool:
        return self.expires_s is not None and self.expires_s <= now_s


def new_identity(rng: Randomness) -> str:
    return rng.randbytes(IDENTITY_BYTES).hex()


def token_of(invite: Invite, key: bytes) -> str:
    """The token of an invite; the same each time. See RFC 7519."""
    import jwt  # a megabyte, and a hub on this machine asks nobody for a token

    claims: dict[str, Any] = {"iss": _ISSUER, "jti": invite.identity, "room": invite.room}
    if invite.read_only:
        claims["ro"] = True
    if invite.expires_s is not None:
        claims["exp"] = invite.expires_s
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def read_token(token: str, key: bytes) -> str | None:
    """The identity of the invite that a token names; None when this key did not sign it.

    Signatures are compared in constant time.
    """
    import jwt

    if len(token) > limits.TOKEN_MAX_CHARS:
        return None
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            options={  # the record tells when an invite ends: a token is read without a clock
                "require": ["iss", "jti"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    identity = claims.get("jti")
    return identity if isinstance(identity, str) else None
