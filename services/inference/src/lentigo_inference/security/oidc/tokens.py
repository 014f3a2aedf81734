"""Checks tokens: JWT (RFC 7519) signed by the issuer (RFC 7515), by the rules of RFC 8725.

What costs nothing is checked first: the length, the form, the header. Then the signature, and only
then what the token says. PyJWT is imported where it is used: most services have no issuer.
"""

import base64
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from lentigo_inference.errors import Unauthorized, UnauthorizedError
from lentigo_inference.security.identity import Identity
from lentigo_inference.security.oidc.claims import ClaimMapping
from lentigo_inference.security.oidc.issuer import Issuer
from lentigo_inference.security.oidc.key_set import ALLOWED, SigningKey
from lentigo_inference.settings import Settings

MAX_CHARACTERS: Final = 16_384
"""Of a token; those of large hospitals, with two hundred groups, have some ten thousand."""

_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
# RFC 9068 has the second for access tokens; by RFC 7515, section 4.1.9, `application/` may stand
# before them. Others, such as `logout+jwt`, are for something else.
_TYPES: Final = frozenset({"jwt", "at+jwt"})
_REQUIRED: Final = ("exp", "iat", "iss", "aud")
_MAX_KEY_ID: Final = 256

_END_OF_TIME: Final = 2**40

# Clients use a token for minutes, and each has one.
_MAX_REMEMBERED: Final = 1024

_MESSAGES: Final[Mapping[Unauthorized, str]] = {
    Unauthorized.TOO_LONG: f"The token has more than {MAX_CHARACTERS:,} characters. Have the "
    "issuer put less into it.",
    Unauthorized.MALFORMED: "This is neither an API key of this service nor a signed token (JWT). "
    "Send the access token as the issuer gave it.",
    Unauthorized.ALGORITHM_REFUSED: "The token is not signed with an algorithm that is accepted "
    f"here: {', '.join(sorted(ALLOWED))}.",
    Unauthorized.WRONG_SIGNATURE: "The signature of the token does not fit its content and the "
    "issuer's key. Get a new token.",
    Unauthorized.WRONG_ISSUER: "The token is of another issuer.",
    Unauthorized.WRONG_AUDIENCE: "The token is for another audience. Ask the issuer for one for "
    "this service.",
    Unauthorized.MISSING_CLAIM: "The token lacks a claim that is needed: exp, iat, iss, aud, or "
    "the one that names its bearer.",
    Unauthorized.EXPIRED: "The token has expired. Get a new one from the issuer.",
    Unauthorized.NOT_YET_VALID: "The token is not valid yet. Look at the clocks of the issuer and "
    "of this service.",
}


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must be.

    Attributes:
        audience: must be among those of the token.
        clock_skew_s: by how many seconds the clocks of issuer and service may differ.
        mapping: what its claims mean.
    """

    audience: str
    clock_skew_s: float
    mapping: ClaimMapping


class TokenVerifier:
    """Finds out who bears a token. Used on the event loop only.

    Who was proved by a token is remembered until the token expires or the issuer's keys change, so
    the signature of most requests is not computed again.
    """

    def __init__(
        self, issuer: Issuer, rules: TokenRules, now: Callable[[], float] = time.time
    ) -> None:
        """Check tokens of one issuer.

        Args:
            issuer: has the keys.
            rules: what a token must be.
            now: returns Unix time, by which a remembered token ends.
        """
        self.issuer = issuer
        self._rules = rules
        self._now = now
        # By digest: the bearer, the end of the token in Unix time, and the key set.
        self._remembered: OrderedDict[bytes, tuple[Identity, float, int]] = OrderedDict()

    def known(self, token: str) -> Identity | None:
        """Return at once who bears a token that was checked before; None otherwise."""
        if len(token) > MAX_CHARACTERS or not self.issuer.usable:
            return None
        digest = _digest(token)
        found = self._remembered.get(digest)
        if found is None:
            return None
        identity, ends_at, key_set = found
        if key_set != self.issuer.key_sets or self._now() >= ends_at:
            del self._remembered[digest]
            return None
        return identity

    async def verify(self, token: str) -> Identity:
        """Return who bears a token.

        Raises:
            UnauthorizedError: the token is not accepted; the message says why, and quotes nothing.
            IssuerUnavailableError: it cannot be checked now.
        """
        identity = self.known(token)
        if identity is not None:
            return identity
        key = await self.issuer.find(_read_key_id(token))
        claims = self._checked_claims(token, key)
        name = self._rules.mapping.name_of(claims)
        if name is None:
            raise _refused(Unauthorized.MISSING_CLAIM)
        identity = Identity(name, self._rules.mapping.scopes_of(claims))
        # A time that no clock shows is as good as none.
        ends_at = min(int(claims["exp"]), _END_OF_TIME) + self._rules.clock_skew_s
        self._remember(token, identity, ends_at)
        return identity

    def _checked_claims(self, token: str, key: SigningKey) -> dict[str, Any]:
        """Check the signature, and then the claims."""
        import jwt  # noqa: PLC0415 - see the module

        reasons: dict[type[Exception], Unauthorized] = {
            jwt.ExpiredSignatureError: Unauthorized.EXPIRED,
            jwt.ImmatureSignatureError: Unauthorized.NOT_YET_VALID,
            jwt.InvalidAudienceError: Unauthorized.WRONG_AUDIENCE,
            jwt.InvalidIssuerError: Unauthorized.WRONG_ISSUER,
            jwt.MissingRequiredClaimError: Unauthorized.MISSING_CLAIM,
            jwt.InvalidSignatureError: Unauthorized.WRONG_SIGNATURE,
            jwt.InvalidAlgorithmError: Unauthorized.ALGORITHM_REFUSED,
        }
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                # Those of the key, and never the one that the token names.
                algorithms=list(key.algorithms),
                audience=self._rules.audience,
                issuer=self.issuer.address,
                leeway=self._rules.clock_skew_s,
                options={"require": list(_REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise _refused(reasons.get(type(error), Unauthorized.MALFORMED)) from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            # Times that are no numbers, and JSON that is nested without end.
            raise _refused(Unauthorized.MALFORMED) from error
        return claims

    def _remember(self, token: str, identity: Identity, ends_at: float) -> None:
        self._remembered[_digest(token)] = (identity, ends_at, self.issuer.key_sets)
        if len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)


def _read_key_id(token: str) -> str:
    """Return the id of the key that a token names, if its header is one that is accepted."""
    if len(token) > MAX_CHARACTERS:
        raise _refused(Unauthorized.TOO_LONG)
    if not _FORM.fullmatch(token):
        raise _refused(Unauthorized.MALFORMED)
    segment = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError) as error:
        raise _refused(Unauthorized.MALFORMED) from error
    if not isinstance(header, dict):
        raise _refused(Unauthorized.MALFORMED)
    algorithm, kind, key_id = header.get("alg"), header.get("typ", "JWT"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALLOWED:
        raise _refused(Unauthorized.ALGORITHM_REFUSED)
    # RFC 7515, section 4.1.11: extensions that must be understood; none is.
    if "crit" in header or not isinstance(kind, str) or not isinstance(key_id, str):
        raise _refused(Unauthorized.MALFORMED)
    if kind.lower().removeprefix("application/") not in _TYPES or len(key_id) > _MAX_KEY_ID:
        raise _refused(Unauthorized.MALFORMED)
    return key_id


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _refused(reason: Unauthorized) -> UnauthorizedError:
    return UnauthorizedError(_MESSAGES[reason], reason)


def token_verifier(
    settings: Settings, observe: Callable[[bool], None] | None = None
) -> TokenVerifier | None:
    """Prepare what checks tokens, if the settings name an issuer; asks the issuer nothing yet.

    Args:
        settings: name the issuer, and what a token must be.
        observe: is told whether the issuer answered.

    Raises:
        IssuerError: the address of the issuer is not safe, or a mapping of scopes is wrong.
    """
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    mapping = ClaimMapping.parse(
        settings.oidc_scope_claim, settings.oidc_scopes, settings.oidc_name_claim
    )
    issuer = Issuer(settings.oidc_issuer, settings.oidc_keys_max_age_s, observe=observe)
    rules = TokenRules(settings.oidc_audience, settings.oidc_clock_skew_s, mapping)
    return TokenVerifier(issuer, rules)
