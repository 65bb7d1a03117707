"""Idempotency of writes: a request that is repeated with its Idempotency-Key gets the first response."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence

from mnemos.errors import Conflict
from mnemos.location import Location
from mnemos.store.open import open_answers


class IdempotencyStore:
    """Responses to requests with an Idempotency-Key, to replay them instead of writing twice.

    It contains no text, so nothing erased survives here: a response is stored as ids and versions of cubes, a body as a
    hash keyed with the seal of the client's key, which is never stored.
    """

    def __init__(self, root: Location, replay_seconds: float, now: Callable[[], float] = time.time) -> None:
        self.replay_seconds = replay_seconds
        self.now = now
        self._answers = open_answers(root)
        self._lock = threading.Lock()
        self._running: set[bytes] = set()

    def start(self, name: bytes, body: bytes) -> list[tuple[str, int]] | None:
        """Return the earlier response as (id, version) pairs; if there was none, reserve the name and return None.

        Raises Conflict when the body differs, or when the earlier request has not finished.
        """
        with self._lock:
            found = self._answers.reserve(name, body, self.now(), self.now() - self.replay_seconds)
            if found is None:
                self._running.add(name)
                return None
        earlier, answer = found
        if earlier != body:
            raise Conflict("this Idempotency-Key was used with a different body. Use a new key. Nothing was stored.")
        if answer is None:
            state = (
                "is still running"
                if name in self._running
                else "runs in another process, or was interrupted. Check whether it was stored"
            )
            raise Conflict(f"the first request with this Idempotency-Key {state}. This one stored nothing.")
        return [(str(cube), int(version)) for cube, version in json.loads(answer)]

    def end(self, name: bytes, cubes: Sequence[tuple[str, int]] | None) -> None:
        """Store the response; with None release the name: the request failed and may be repeated."""
        with self._lock:
            self._answers.finish(name, None if cubes is None else json.dumps(cubes))
            self._running.discard(name)

    def close(self) -> None:
        """Release the answers."""
        self._answers.close()


def name_of(*parts: str) -> bytes:
    """Return the name of a stored response: a hash of the API key's id, the space and the Idempotency-Key."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=32).digest()
