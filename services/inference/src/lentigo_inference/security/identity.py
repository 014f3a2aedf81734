"""Who a request comes from, whichever way that was proved."""

from dataclasses import dataclass

from lentigo_inference.security.api_keys import Scope


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, proved by an API key or by a token.

    Attributes:
        name: in the log, the audit trail and the limits. Those of tokens begin with `oidc:`, which
            no name of a key can.
        scopes: what it may do; may be empty.
        rate_limit_per_minute: requests a minute, 0 is no limit; None is that of the settings.
        max_pending: predictions under way at the same time; None is its share of all.
    """

    name: str
    scopes: frozenset[Scope]
    rate_limit_per_minute: int | None = None
    max_pending: int | None = None
