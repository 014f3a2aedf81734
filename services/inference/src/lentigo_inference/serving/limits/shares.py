"""A total of something, shared between API keys so that one of them leaves something to others."""

from typing import Final

# One key may hold three times what is left for others, so three quarters when it is alone. The
# dynamic threshold of Choudhury and Hahne (IEEE/ACM Transactions on Networking 6(2), 1998) for a
# shared memory: it adapts to the number of keys that want much, and always leaves something.
_SHARE: Final = 3


class Shares:
    """Counts what is held of a total, by key. Used on the event loop only."""

    def __init__(self, total: int) -> None:
        """Start with nothing held."""
        self._total = total
        self._held = 0
        self._by_key: dict[str, int] = {}

    @property
    def total(self) -> int:
        """What may be held."""
        return self._total

    @property
    def held(self) -> int:
        """What all hold, with a key or without."""
        return self._held

    def held_by(self, key: str | None) -> int:
        """Return what a key holds; without a key, nothing counts."""
        return 0 if key is None else self._by_key.get(key, 0)

    def has_room(self, amount: int) -> bool:
        """Whether so much more fits into the total."""
        return self._held + amount <= self._total

    def leaves_enough(self, amount: int, key: str | None, own: int = 0) -> bool:
        """Whether a key that takes so much more leaves enough for others.

        Args:
            amount: to be taken.
            key: that takes it; without one, there is no share.
            own: what this request holds already. The only request of a key always leaves enough.
        """
        held = self.held_by(key)
        return held <= own or held + amount <= _SHARE * (self._total - self._held)

    def add(self, amount: int, key: str | None) -> None:
        """Count so much more, or less if it is negative."""
        self._held += amount
        if key is None:
            return
        self._by_key[key] = self._by_key.get(key, 0) + amount
        if not self._by_key[key]:
            del self._by_key[key]
