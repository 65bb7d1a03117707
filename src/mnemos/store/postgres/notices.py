"""Erasures by other processes, heard of at once (LISTEN and NOTIFY), so that erased text does not stay in their RAM.

Whether a view is current is asked of the database at each search (`change_token`), never taken from a notice: a notice comes
late or, behind a pooler in transaction mode, not at all. Adds send none: PostgreSQL takes one lock for all of a database's
commits with notices, so that writers of different spaces would wait for each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from mnemos.errors import MnemosError
from mnemos.store.postgres.schema import Db

CHANNEL = "mnemos_erased"
NOTIFY = (
    f"SELECT pg_notify('{CHANNEL}', %s)"  # with the key of the space (`connection.lock_key`), which does not name it
)
CHECK_SECONDS = 1.0  # after which a listener sees that nobody listens any longer
PAUSE_SECONDS = 5.0  # until a listener that lost the server tries again


class Notices:
    """Calls back when something was erased from a space, in a thread of its own, with one connection for all spaces."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Db]], ended: Callable[[], bool]) -> None:
        self._connect, self._ended = connect, ended
        self._callbacks: dict[int, list[Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def listen(self, key: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each erasure from the space of this key; return what ends that."""
        with self._lock:
            self._callbacks.setdefault(key, []).append(callback)
            if self._thread is None or not self._thread.is_alive():  # a forked child has none
                self._thread = threading.Thread(target=self._run, name="mnemos-notices", daemon=True)
                self._thread.start()
        return partial(self._end, key, callback)

    def _end(self, key: int, callback: Callable[[], None]) -> None:
        with self._lock:
            held = self._callbacks.get(key, [])
            if callback in held:
                held.remove(callback)
            if not held:
                self._callbacks.pop(key, None)

    def _over(self) -> bool:
        """Tell whether nobody listens any longer; then the thread ends."""
        with self._lock:
            if self._ended() or not self._callbacks:
                self._thread = None
                return True
            return False

    def _run(self) -> None:
        again = False
        while not self._over():
            try:
                with self._connect() as db:
                    db.execute(f"LISTEN {CHANNEL}")
                    if again:  # what was said meanwhile is not known
                        self._call(None)
                    while not self._over():
                        for notice in db.notifies(timeout=CHECK_SECONDS):
                            self._call(int(notice.payload))
                    return
            except MnemosError:  # the server is gone: searches tell
                again = True
                time.sleep(PAUSE_SECONDS)

    def _call(self, key: int | None) -> None:
        with self._lock:
            callbacks = [c for k, held in self._callbacks.items() if key is None or k == key for c in held]
        for callback in callbacks:
            callback()
