"""Who calls, and how often: the key of a request and its rate, without blocking the event loop."""

from __future__ import annotations

import anyio
import anyio.to_thread

from mnemos.serve.keys import Key, KeyStore
from mnemos.serve.limits import RateLimiter, ServerLimits, SharedLimiter
from mnemos.store.server import Rates

THREADS = 16  # that may wait for a database at once


class Callers:
    """The keys and rates of a server. What may wait for a network runs in threads of its own."""

    def __init__(self, keys: KeyStore, limits: ServerLimits, rates: Rates | None) -> None:
        self.keys = keys
        self.local = RateLimiter(limits.rate, limits.burst)
        self.shared = None if rates is None else SharedLimiter(rates, limits.rate, limits.burst)
        self._threads = anyio.CapacityLimiter(THREADS)

    async def identify(self, token: str | None, address: str) -> tuple[Key | None, int]:
        """Return the valid key of a token, if any, and for how many seconds its holder has to wait. Raises StoreError."""
        if self.keys.remote:
            return await anyio.to_thread.run_sync(self._identify, token, address, limiter=self._threads)
        return self._identify(token, address)

    async def count(self, caller: str) -> int:
        """Count a request; return for how many seconds the caller has to wait. Raises StoreError."""
        if self.shared is None or self.shared.take_taken(caller):
            return self.local.take(caller) if self.shared is None else 0
        return await anyio.to_thread.run_sync(self.shared.take, caller, limiter=self._threads)

    def _identify(self, token: str | None, address: str) -> tuple[Key | None, int]:
        key = None if token is None else self.keys.find(token)
        caller = f"refused from {address}" if key is None else key.id
        return key, (self.shared or self.local).take(caller)
