"""How long the users of each space take between two turns, kept with the space, so that a restart does not forget it."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from mnemos.activation.paged.engine import Busy, Engine
from mnemos.errors import InvalidInput, MnemosError
from mnemos.system import Mnemos

log = logging.getLogger("mnemos.serve")

NAME = "think times"  # in the space's meta
EACH = 16  # times of a space after which they are saved again


class TimesOfSpaces:
    """Loads the times of a space when it is first used, and saves them. Safe for threads."""

    def __init__(self, memory: Mnemos, engine: Engine) -> None:
        self.memory, self.engine = memory, engine
        self._saved: dict[str, int] = {}  # space -> how many times were recorded when it was last saved
        self._lock = threading.Lock()

    def load(self, space: str) -> None:
        """Let the lease know the times of a space, once; save what it has learned since, now and then."""
        times = self.engine.times
        if times is None:
            return
        with self._lock:
            if space not in self._saved:
                self._saved[space] = 0
                with suppress(MnemosError):
                    kept = self.memory.space(space).store.meta.get(NAME) if space in self.memory else ""
                    self._saved[space] = self.engine.call(lambda: self._learn(space, kept))
            elif times.count(space) >= self._saved[space] + EACH:
                self._save(space)

    def save_all(self) -> None:
        """Save the times of all spaces that were used."""
        with self._lock:
            for space in list(self._saved):
                self._save(space)

    def _learn(self, space: str, kept: str) -> int:
        assert self.engine.times is not None
        try:
            return self.engine.times.load(space, kept)
        except InvalidInput as error:
            log.warning("%s", error)
            return 0

    def _save(self, space: str) -> None:
        times = self.engine.times
        assert times is not None
        count = times.count(space)
        if count == self._saved[space]:
            return
        with suppress(MnemosError, Busy):  # what is lost is only how long to wait
            text = self.engine.call(lambda: times.dump(space))
            if space in self.memory:
                self.memory.space(space).store.meta.set(NAME, text)
        self._saved[space] = count
