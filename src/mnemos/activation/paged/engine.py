"""An engine that serves many generations over one pool, in one thread that has the model to itself.

A generation waits in a queue until its pages fit, reads its prompt in chunks (what the pool already has is not read
again), and then advances a token a step together with all others: continuous batching. Its pages are reserved to its end
when it is admitted, so a generation that has begun never runs out of space. When it ends, its full pages stay findable:
the next turn of a conversation, and every other one that begins alike, shares them.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mnemos.activation.paged.base import PagePolicy
from mnemos.activation.paged.model import PagedModel
from mnemos.activation.paged.sampling import Sampler
from mnemos.activation.paged.thinking import ThinkTimes
from mnemos.errors import InvalidInput, MnemosError

CHUNK = 128  # tokens of a prompt read between two steps of the others
Reason = Literal["stop", "length", "cancelled", "failed"]


class Busy(MnemosError):
    """The queue is full: nothing was begun."""


@dataclass(slots=True)
class Request:
    """What to generate."""

    prompt: Sequence[int]
    most: int  # new tokens at most
    sampler: Sampler = field(default_factory=Sampler)
    ends: Collection[int] = ()  # tokens that end it, which are not emitted
    extra: Mapping[str, str] = field(default_factory=dict)  # what parts caches beside the tokens
    program: str | None = None  # the conversation, whose pages a lease may pin until its next turn
    tool: str = ""  # what the conversation waits for then, such as its user


class Generation:
    """A request on its way. `on_token` is called in the engine's thread for each token; it returns whether to stop."""

    def __init__(
        self, name: str, request: Request, on_token: Callable[[int], bool], on_end: Callable[[], None]
    ) -> None:
        self.name, self.request = name, request
        self.on_token, self.on_end = on_token, on_end
        self.cached = 0  # tokens of the prompt that were not read
        self.count = 0  # tokens generated, that which ended it not counted
        self.reason: Reason | None = None
        self.error: BaseException | None = None
        self.cancelled = False
        self.last = -1  # the newest token, which is not in the pool yet
        self.queued, self.started = time.monotonic(), 0.0
        self.first: float | None = None  # seconds from the queue to the first token

    def cancel(self) -> None:
        """End it at the next step, from any thread."""
        self.cancelled = True


class Engine:
    """Serves generations over a `PagedModel`. A context manager: leaving it cancels what is on its way."""

    def __init__(
        self,
        paged: PagedModel,
        *,
        running: int = 16,  # generations at work at once
        queue: int = 64,  # that wait at most
        chunk: int = CHUNK,  # tokens of a prompt read at a time
        policy: PagePolicy | None = None,  # lets go of pages of a generation over a budget
        times: ThinkTimes | None = None,  # learns how long conversations wait for their next turn
    ) -> None:
        self.paged, self.pool = paged, paged.pool
        self.limits = {"running": running, "queue": queue, "chunk": chunk}
        self.policy, self.times = policy, times
        self.prefilled = self.found = 0  # tokens of prompts that were read, and that were in the pool
        self.reading_seconds = 0.0
        self._names = itertools.count()
        self._news = threading.Condition()
        self._waiting: deque[Generation] = deque()
        self._reading: deque[Generation] = deque()  # admitted, the prompt is being read: the first one
        self._running: list[Generation] = []
        self._calls: deque[Callable[[], None]] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="mnemos-engine", daemon=True)
        self._thread.start()

    # -- from any thread

    def submit(
        self, request: Request, on_token: Callable[[int], bool], on_end: Callable[[], None] = lambda: None
    ) -> Generation:
        """Queue a request. Raises InvalidInput for one that can never fit, Busy when too many wait."""
        total = len(request.prompt) + request.most
        if not request.prompt or request.most < 1:
            raise InvalidInput("a generation needs a prompt and room for a token: give at least one of each.")
        room = min(self.paged.limit, self.pool.blocks * self.pool.size)
        if total > room:
            raise InvalidInput(
                f"the prompt has {len(request.prompt)} tokens and {request.most} may be generated: this model has room "
                f"for {room} tokens in all. Shorten the messages or ask for fewer tokens."
            )
        made = Generation(f"g{next(self._names)}", request, on_token, on_end)
        with self._news:
            if self._closed:
                raise Busy("the model is being closed.")
            if len(self._waiting) >= self.limits["queue"]:
                raise Busy(f"{len(self._waiting)} requests wait for the model already. Try again later.")
            self._waiting.append(made)
            self._news.notify_all()
        return made

    def call(self, work: Callable[[], Any]) -> Any:
        """Run a function in the engine's thread, between two steps; return its result."""
        done, result, failed = threading.Event(), [], []

        def run() -> None:
            try:
                result.append(work())
            except Exception as error:
                failed.append(error)
            finally:
                done.set()

        with self._news:
            if self._closed:
                raise Busy("the model is being closed.")
            self._calls.append(run)
            self._news.notify_all()
        done.wait()
        if failed:
            raise failed[0]
        return result[0]

    def close(self) -> None:
        """Cancel what is on its way and end the thread; the model attends as before."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._thread.join()
        self.paged.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    # -- in the engine's thread

    def _work(self) -> None:
        while True:
            with self._news:
                while not (self._closed or self._calls or self._waiting or self._reading or self._running):
                    self._news.wait(1.0)
                    self._expire()
                calls, closed = list(self._calls), self._closed
                self._calls.clear()
            for run in calls:
                run()
            if closed:
                return self._end_all()
            try:
                self._expire()
                self._drop_cancelled()
                self._admit()
                self._read()
                self._step()
            except Exception as error:  # a defect: whoever waits is told, and the next ones are served
                for made in (*self._reading, *self._running):
                    self._end(made, "failed", error)

    def _expire(self) -> None:
        self.pool.expire(time.monotonic())

    def _drop_cancelled(self) -> None:
        for made in [g for g in (*self._waiting, *self._reading, *self._running) if g.cancelled]:
            self._end(made, "cancelled")

    def _admit(self) -> None:
        """Let waiting generations begin, in order, as long as their pages fit beside what the others may still take."""
        while self._waiting and len(self._reading) + len(self._running) < self.limits["running"]:
            if self._reading:
                return  # the next one finds what this one reads
            made = self._waiting[0]
            request = made.request
            try:
                made.cached = self.pool.open(made.name, request.prompt, request.extra)
            except Exception as error:  # a defect: it alone is told, and does not stay in front of the others
                self._end(made, "failed", error)
                continue
            promised = sum(map(self._missing, self._running))
            while self.pool.free_blocks - promised < self._missing(made):
                if not self.pool.unpin_next():
                    self.pool.free(made.name)
                    return
            self._waiting.popleft()
            self._reading.append(made)
            made.started = time.monotonic()
            self.found += made.cached
            if self.times is not None and request.program is not None:
                self.times.returned(self.pool, request.program, made.queued)

    def _missing(self, made: Generation) -> int:
        """Return the blocks that a generation may still take."""
        request = made.request
        total = -(-(len(request.prompt) + request.most) // self.pool.size)
        return total - len(self.pool.table(made.name) or ())

    def _read(self) -> None:
        """Read the next chunk of the first prompt."""
        if not self._reading:
            return
        made, begun = self._reading[0], time.monotonic()
        prompt, at = made.request.prompt, self.pool.length(made.name)
        new = prompt[at : at + self.limits["chunk"]]
        logits = self.paged.forward([made.name], [new])
        self.prefilled += len(new)
        self.reading_seconds += time.monotonic() - begun
        if at + len(new) == len(prompt):
            self._reading.popleft()
            self._running.append(made)
            self._evict(made)
            self._take(made, logits[0])

    def _step(self) -> None:
        """Generate a token of each that runs."""
        if rows := list(self._running):
            logits = self.paged.forward([made.name for made in rows], [[made.last] for made in rows])
            for made, row in zip(rows, logits, strict=True):
                if self.pool.length(made.name) % self.pool.size == 1:
                    self._evict(made)
                self._take(made, row)

    def _evict(self, made: Generation) -> None:
        if self.policy is not None and (pages := self.policy.pages(self.pool, made.name)):
            self.pool.evict(made.name, pages)

    def _take(self, made: Generation, logits: Any) -> None:
        """Pick a token, hand it over, and end the generation if that was the last."""
        made.last = made.request.sampler.pick(logits)
        if made.first is None:
            made.first = time.monotonic() - made.queued
        if made.last in made.request.ends:
            return self._end(made, "stop")
        made.count += 1
        try:
            stop = made.on_token(made.last)
        except Exception as error:
            return self._end(made, "failed", error)
        if stop or made.count >= made.request.most:
            return self._end(made, "stop" if stop else "length")
        return None

    def _end(self, made: Generation, reason: Reason, error: BaseException | None = None) -> None:
        """Free what a generation holds, pinned for its program where a lease says so, and tell who waits."""
        for place in (self._waiting, self._reading, self._running):
            if made in place:
                place.remove(made)
        if made.name in self.pool:
            request = made.request
            if self.times is None or request.program is None or reason not in ("stop", "length"):
                self.pool.free(made.name)
            else:
                speed = self.prefilled / self.reading_seconds if self.reading_seconds else 0.0
                reload = self.pool.length(made.name) / speed if speed else 0.0
                self.times.ended(self.pool, made.name, request.program, request.tool, reload, time.monotonic())
        made.reason, made.error = reason, error
        made.on_end()

    def _end_all(self) -> None:
        for made in (*self._waiting, *self._reading, *self._running):
            self._end(made, "cancelled")
