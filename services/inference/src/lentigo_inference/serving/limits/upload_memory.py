"""The memory of uploads: what all bodies that were read and are not answered yet may take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lentigo_inference.errors import RateLimitedError, ServiceBusyError
from lentigo_inference.serving.limits.shares import Shares

Hold = Callable[[int], None]
"""Counts so many bytes more of one body; raises `ServiceBusyError` or `RateLimitedError`."""

# An upload that others wait for takes about so long.
_RETRY_AFTER_S: Final = 1.0


class UploadMemory:
    """Counts the bytes of bodies as they arrive.

    A client that declares 20 MiB and sends nothing takes nothing, so many slow clients are no
    reason to refuse others. Used on the event loop only.
    """

    def __init__(self, total: int) -> None:
        """Start with nothing held; `total` is in bytes."""
        self._shares = Shares(total)

    @property
    def held(self) -> int:
        """Bytes of all bodies."""
        return self._shares.held

    @contextmanager
    def body(self, key: str | None = None) -> Iterator[Hold]:
        """Give what counts the bytes of one body; they are given back when the context ends.

        Args:
            key: name of the key of the request; without one there is no share.
        """
        held = 0

        def hold(amount: int) -> None:
            nonlocal held
            self._require_room(amount, key, held)
            self._shares.add(amount, key)
            held += amount

        try:
            yield hold
        finally:
            self._shares.add(-held, key)

    def _require_room(self, amount: int, key: str | None, own: int) -> None:
        if not self._shares.has_room(amount):
            raise ServiceBusyError(
                f"The uploads under way have {self._shares.held:,} bytes together, and the "
                f"service holds at most {self._shares.total:,}. Try again after the given delay, "
                "or send a smaller image.",
                _RETRY_AFTER_S,
            )
        if not self._shares.leaves_enough(amount, key, own):
            raise RateLimitedError(
                f"The uploads with this key have {self._shares.held_by(key):,} bytes together, "
                "and the rest of the memory is for other keys. Try again after the given delay.",
                _RETRY_AFTER_S,
            )
