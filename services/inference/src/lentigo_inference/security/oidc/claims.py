"""What the claims of a token mean here: the scopes of its bearer, and the name."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lentigo_inference.errors import IssuerError
from lentigo_inference.security.api_keys import Scope

# Names of keys have no colon, so a token can never pass for a key in the log or in a limit.
_PREFIX: Final = "oidc:"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@|-]{0,63}", re.ASCII)

_BY_DEFAULT: Final[Mapping[str, Scope]] = {f"lentigo:{scope}": scope for scope in Scope}
_PAIR: Final = re.compile(r"([^\s=,]{1,200})=([a-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """Which claims say what.

    Attributes:
        scope_claim: claim with the values that become scopes, such as `scope`; `a.b` is the member
            `b` of the claim `a`.
        scopes: scopes by value.
        name_claim: claim that names the bearer, such as `sub`.
    """

    scope_claim: str
    scopes: Mapping[str, frozenset[Scope]]
    name_claim: str

    @classmethod
    def parse(cls, scope_claim: str, pairs: Iterable[str], name_claim: str) -> "ClaimMapping":
        """Read a mapping from the settings.

        Args:
            scope_claim: see the class.
            pairs: each `VALUE=SCOPE`; a value may have several. Without any, `lentigo:predict`
                stands for the scope predict, and so on.
            name_claim: see the class.

        Raises:
            IssuerError: a pair is not one, or names no scope.
        """
        scopes: dict[str, frozenset[Scope]] = {}
        for pair in pairs:
            found = _PAIR.fullmatch(pair)
            if found is None or found[2] not in set(Scope):
                raise IssuerError(
                    f"{pair!r} in LENTIGO_OIDC_SCOPES is not like clinician=predict; the scopes "
                    f"are {', '.join(Scope)}."
                )
            scopes[found[1]] = scopes.get(found[1], frozenset()) | {Scope(found[2])}
        default = {value: frozenset({scope}) for value, scope in _BY_DEFAULT.items()}
        return cls(scope_claim, scopes or default, name_claim)

    def scopes_of(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """Return the scopes that a token gives; empty if it gives none."""
        values = _member(claims, self.scope_claim)
        if isinstance(values, str):
            # RFC 8693, section 4.2: a list that is separated by spaces.
            values = values.split()
        if not isinstance(values, list):
            return frozenset()
        given = (self.scopes.get(value, frozenset()) for value in values if isinstance(value, str))
        return frozenset().union(*given)

    def name_of(self, claims: Mapping[str, Any]) -> str | None:
        """Return the name of the bearer, at most 69 safe characters; None if the token has none.

        A value that is long or has other characters is replaced by half of its SHA-256, so that no
        two bearers have one name, and nothing that a token says gets into a line of the log.
        """
        value = _member(claims, self.name_claim)
        if not isinstance(value, str) or not value:
            return None
        if _PLAIN_NAME.fullmatch(value):
            return _PREFIX + value
        return f"{_PREFIX}sha256:{hashlib.sha256(value.encode(errors='replace')).hexdigest()[:32]}"


def _member(claims: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a claim, or a member of one; None if there is none."""
    # Claims of private namespaces are URLs, with dots that separate nothing.
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
