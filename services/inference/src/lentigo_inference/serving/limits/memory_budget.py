"""A budget of memory that work reserves before it begins, first come, first served."""

import asyncio
from collections import deque

from lentigo_contract.wording import pluralize
from lentigo_inference.errors import ServiceBusyError


class MemoryBudget:
    """Bytes that are reserved and given back. Used on the event loop only.

    Whoever waits keeps the turn, also while something smaller would fit: otherwise small work could
    keep large work waiting for ever.
    """

    def __init__(self, total: int, max_waiting: int) -> None:
        """Start with everything free.

        Args:
            total: bytes; more is never asked for at once.
            max_waiting: how many may wait.
        """
        self._free = total
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, amount: int) -> None:
        """Reserve some bytes, as soon as they are free; `release` gives them back.

        Raises:
            ServiceBusyError: too many wait already.
        """
        if not self._waiting and amount <= self._free:
            self._free -= amount
            return
        if len(self._waiting) >= self._max_waiting:
            raise ServiceBusyError(
                f"{pluralize(len(self._waiting), 'large image waits', 'large images wait')} to be "
                "decoded, and no more are taken. Try again after the given delay, or send a "
                "smaller image.",
                float(len(self._waiting)),
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting = deque(entry for entry in self._waiting if entry[1] is not turn)
                self._grant()
            else:
                # Its turn had just come.
                self.release(amount)
            raise

    def release(self, amount: int) -> None:
        """Give back what `acquire` reserved."""
        self._free += amount
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            amount, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= amount
                turn.set_result(None)
