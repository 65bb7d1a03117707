"""The memory of the proxy: what it adds to a prompt, and how it stores an exchange. Its errors never break a chat."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeAlias
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mnemos.errors import MnemosError
from mnemos.serve import chat_answers, chat_format, conversation
from mnemos.serve.access import missing
from mnemos.serve.chat_answers import Lookup
from mnemos.serve.chats import ChatBook, Place
from mnemos.serve.conversation import Exchange, Field, Options
from mnemos.serve.in_place import BlocksInPlace, with_blocks
from mnemos.space import Space
from mnemos.store.open import secret_of
from mnemos.system import Mnemos
from mnemos.text.encode.messages import MAX_BYTES

log = logging.getLogger("mnemos.serve")

Right = Literal["read", "write"]
OpenSpace: TypeAlias = Callable[[Request, str, Right], Space | AbstractContextManager[Space]]

EVENTS = "text/event-stream"
MAX_STORED = 16 * 1024 * 1024  # bytes of a response; a longer one is passed on but not stored
COOLDOWN = 5.0  # seconds for which a space that timed out is not searched, so that not every chat waits for it
RECALLS, WRITES = 64, 32  # threads, so that a space that hangs blocks nothing else
MAX_QUEUED = 1_000  # exchanges waiting to be stored; further ones are dropped
MAX_WAITING = 256 * 1024 * 1024  # bytes of responses that wait to be stored; further ones are dropped


@dataclass
class Chat:
    """One chat request, and what is known of it."""

    request: Request
    options: Options
    field: Field
    body: bytes
    at: datetime  # when it arrived
    exchange: Exchange | None = None
    place: Place | None = None
    answered: bool = False  # whether the client got the whole response
    account: str = ""  # what the upstream tells callers apart by
    lookup: Lookup | None = None  # what the cache of answers had for it


class Limit:
    """A number of threads, of which one space takes at most half."""

    def __init__(self, threads: int) -> None:
        self.limiter = anyio.CapacityLimiter(threads)
        self.of_space = threads // 2
        self._lock = threading.Lock()
        self._at_work: dict[object, str] = {}  # call -> its space, until its thread has ended

    async def run(self, space: str, work: Callable[[], Any]) -> Any:
        """Run a function in a thread. A cancelled caller leaves it behind; it still counts."""
        call = object()
        while not self._enter(call, space):
            await anyio.sleep(0.01)
        started = False

        def counted() -> Any:
            nonlocal started
            started = True
            try:
                return work()
            finally:
                self._leave(call)

        try:
            return await anyio.to_thread.run_sync(counted, abandon_on_cancel=True, limiter=self.limiter)
        finally:
            if not started:  # cancelled while it waited for a thread
                self._leave(call)

    def _enter(self, call: object, space: str) -> bool:
        with self._lock:
            if list(self._at_work.values()).count(space) >= self.of_space:
                return False
            self._at_work[call] = space
            return True

    def _leave(self, call: object) -> None:
        with self._lock:
            self._at_work.pop(call, None)


class ChatMemory:
    """What the memory does for chats: it recalls before the upstream is called, and stores afterwards."""

    def __init__(
        self,
        memory: Mnemos,
        open_space: OpenSpace | None,
        patience: float,
        in_place: bool = False,
        answers: bool = False,
    ) -> None:
        self.memory = memory
        self.patience = patience
        self.secret = secret_of(memory.root)
        self.book = ChatBook(memory.root)
        self.answers = answers  # whether a question that was answered before gets that answer
        self.in_place = BlocksInPlace() if in_place else None  # None: one block, after the instructions
        self.recalls, self.writes = Limit(RECALLS), anyio.CapacityLimiter(WRITES)
        self._writing: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()  # of each space
        self.cooling: dict[str, float] = {}  # space -> time until which it is not searched
        self.queued = self.waiting = 0  # exchanges that wait to be stored, and the bytes of their responses
        self._open = open_space or self._permissive

    def _permissive(self, request: Request, name: str, right: Right) -> Space:
        if right == "read" and name not in self.memory:
            raise missing(name)
        return self.memory.space(name)

    def _opened(self, chat: Chat, right: Right) -> AbstractContextManager[Space]:
        """Return a context manager of the space of a chat, checked by `open_space`."""
        given = self._open(chat.request, chat.options.space, right)
        return nullcontext(given) if isinstance(given, Space) else given

    async def recall(self, chat: Chat) -> tuple[bytes, str]:
        """Return the body with what the memory knows, and "ok", "none" or "failed"."""
        space = chat.options.space
        if chat.options.mode == "off":
            return chat.body, "none"
        now = anyio.current_time()
        if self.cooling.get(space, 0) > now:
            return chat.body, "failed"
        try:
            with anyio.fail_after(self.patience):
                body, told = await self.recalls.run(space, partial(self._with_memory, chat))
                return body, str(told)
        except HTTPException:
            raise
        except Exception as error:
            log_error(error, "recall for a chat failed")
            if isinstance(error, TimeoutError):
                self.cooling = {name: until for name, until in self.cooling.items() if until > now}
                self.cooling[space] = anyio.current_time() + COOLDOWN
            return chat.body, "failed"

    def _with_memory(self, chat: Chat) -> tuple[bytes, str]:
        options, ok, none = chat.options, "ok", "none"
        if options.mode == "read-write":
            try:  # creates the space, and finds errors now: after the response it is too late for the header
                with self._opened(chat, "write"):
                    pass
            except MnemosError as error:
                log_error(error, "a chat cannot be stored")
                ok = none = "failed"
        data = json.loads(chat.body)
        exchange = Exchange.read(data, chat.field, self.secret, options.space, options.session)
        place = self.book.place(exchange, options.retried, chat.at)
        chat.exchange, chat.place = exchange, place
        if len(exchange.last_text.encode()) > MAX_BYTES:
            log.warning("a chat cannot be stored: its message is larger than %d bytes", MAX_BYTES)
            ok = none = "failed"
        if not exchange.question or not options.tokens:
            return chat.body, none
        with self._opened(chat, "read") as space:
            if self.in_place is not None:
                shown = self.in_place.recall(space, exchange, place.root, options.tokens, options.filters)
                self._look_up(space, chat, data, "\n".join(shown.values()))
                return (with_blocks(data, chat.field, exchange, shown), ok) if shown else (chat.body, none)
            block = conversation.recall(space, exchange, place.root, options.tokens, options.filters)
            self._look_up(space, chat, data, block)
        return (conversation.with_memory(data, chat.field, block), ok) if block else (chat.body, none)

    def _look_up(self, space: Space, chat: Chat, data: Any, block: str) -> None:
        """Ask the cache of answers. Only an opening message may have one; a history makes it another question."""
        if self.answers and chat.field == "messages" and chat.exchange is not None and chat.exchange.opens:
            try:
                chat.lookup = chat_answers.look_up(space, data, chat.options, chat.account, block, chat.at, self.secret)
            except MnemosError as error:  # such as an embedder that is down: the model answers
                log_error(error, "the cached answers could not be asked")

    async def remember(self, chat: Chat, streamed: bool, response: bytes) -> None:
        """Store an exchange; `response` is the body, or empty if it was broken off or is too long."""
        if self.queued >= MAX_QUEUED or self.waiting + len(response) > MAX_WAITING:
            log.warning("a chat was not stored: %d others are waiting", self.queued)
            return
        if chat.exchange is not None:
            chat.body = b""  # it may contain pictures
        self.queued, self.waiting = self.queued + 1, self.waiting + len(response)
        try:
            lock = self._writing.setdefault(chat.options.space, anyio.Lock())
            async with lock:  # in order: a chat finds the place that the one before it has recorded
                await anyio.to_thread.run_sync(partial(self._store, chat, streamed, response), limiter=self.writes)
        except Exception as error:
            log_error(error, "a chat was not stored")
        finally:
            self.queued, self.waiting = self.queued - 1, self.waiting - len(response)

    def _store(self, chat: Chat, streamed: bool, response: bytes) -> None:
        answer, identity, options = "", None, chat.options
        try:
            answer = chat_format.answer_of(streamed, response) if response else ""
            identity = chat_format.response_id(streamed, response) if response and chat.field == "input" else None
        except Exception as error:
            log_error(error, "a response could not be parsed")
        exchange = chat.exchange or Exchange.read(
            json.loads(chat.body), chat.field, self.secret, options.space, options.session
        )
        place = chat.place
        if place is None or not place.certain:  # its last answer may have been stored in the meantime
            place = self.book.place(exchange, options.retried, chat.at)
        now = self.memory.clock()
        served = chat.lookup.answer if chat.lookup else None
        more = chat_answers.repeats(served) if served else None
        messages = exchange.to_store(place.root, answer, chat.at, now, options.timezone, more)
        with self._opened(chat, "write") as space:
            try:
                answered = chat.answered or bool(answer)
                self.book.record(exchange, place.root, answered, exchange.later_keys(answer, identity), now)
            except MnemosError as error:  # the next message starts another session
                log_error(error, "the place of a chat was not recorded")
            conversation.store(space, messages)
            if chat.lookup is not None and served is None and answer and chat_answers.is_final(streamed, response):
                try:
                    chat_answers.keep(space, chat.lookup, answer, [str(message["id"]) for message in messages])
                except MnemosError as error:  # such as one of its memories that was erased in the meantime
                    log_error(error, "an answer was not kept")


def log_error(error: BaseException, what: str) -> None:
    """Log an error without its message, which may quote a memory."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.warning("%s: %s, raised at %s:%s", what, type(error).__name__, frame.filename, frame.lineno)
