"""Scheduling of requests: searches on the event loop when nothing blocks, all else in one of a few threads per space."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary, WeakValueDictionary

import anyio
import anyio.to_thread
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mnemos.embed.base import CachesVectors, embed_questions, knows
from mnemos.errors import EmbedderError, InvalidInput, StoreBusy
from mnemos.serve import models, routes
from mnemos.serve.access import Access
from mnemos.serve.problems import Json
from mnemos.text.encode.messages import clean
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.snapshot import READ_TOGETHER
from mnemos.text.search import embedded_words, try_lock

THREADS = max(2, os.cpu_count() or 2)  # for the questions of one space
OTHER_THREADS = 16  # for the other requests to one space
EMBEDDING_THREADS = 4 * THREADS  # for their vectors: more than cores, so that no core waits for the event loop
MAX_LENGTH, MAX_HITS = 4_000, 50  # characters of a question and hits, above which a search runs in a thread
QUESTIONS = (routes.search, routes.search_sessions, routes.context)
LONG = (
    routes.import_,
    routes.import_file,
    routes.consolidate,
    routes.remove_space,
)  # hold up no other request to their space


class Dispatcher:
    """Answer the questions of each space with no more threads than it can use.

    Threads in one space wait for each other, and each that wakes up takes the interpreter lock from another. A search
    that does not have to wait therefore runs directly on the event loop. There are as many threads as requests at work,
    so a space that makes its requests wait takes no thread from another.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._limiters: WeakKeyDictionary[Any, anyio.CapacityLimiter] = WeakKeyDictionary()
        self._semaphores: WeakValueDictionary[tuple[Any, ...], asyncio.Semaphore] = WeakValueDictionary()

    def semaphore(self, space: str, count: int = THREADS) -> asyncio.Semaphore:
        """Return the semaphore of a space that admits `count` requests; it lives as long as a request holds it."""
        key = (asyncio.get_running_loop(), space, count)
        return self._semaphores.setdefault(key, asyncio.Semaphore(count))

    def wrap(self, route: Callable[..., Any]) -> Callable[..., Any]:
        """Return the asynchronous route that schedules a route."""
        if iscoroutinefunction(route):
            return route
        return self._question(route) if route in QUESTIONS else self._other(route)

    def _other(self, route: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(route)
        async def run(**values: Any) -> Any:
            name = values["access"].name if "access" in values else ""
            if route in LONG or not name:
                return await self.run(route, **values)
            async with self.semaphore(name, OTHER_THREADS):
                return await self.run(route, **values)

        return run

    def _question(self, route: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(route)
        async def run(access: Access, body: Any) -> Any:
            if route is routes.search and _is_small(access, body):
                return await self.search(access, body)
            return await self.in_thread(route, access, body)

        return run

    async def in_thread(self, work: Callable[..., Any], access: Access, body: Any, count: int = THREADS) -> Any:
        """Run a function in a thread once one of the `count` of its space is free; return its result."""
        async with self.semaphore(access.name, count):
            return await self.run(work, access, body)

    async def run(self, work: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """Run a function in a thread; return its result."""
        loop = asyncio.get_running_loop()
        if (limiter := self._limiters.get(loop)) is None:
            limiter = self._limiters[loop] = anyio.CapacityLimiter(self._threads)
        return await anyio.to_thread.run_sync(partial(work, *args, **values), limiter=limiter)

    async def search(self, access: Access, body: models.Search) -> Json:
        """Search. A new question is embedded in a thread, which releases the interpreter lock while it computes."""
        if (response := _without_waiting(access, body)) is not None:
            return response
        words, corpus = _embedded_words(access, body)
        if not knows(access.embedder, words):
            await self.in_thread(_embed(words, corpus), access, body, EMBEDDING_THREADS)
        async with self.semaphore(access.name, 1):  # after waiting here the space is usually free
            if (response := _without_waiting(access, body)) is not None:
                return response
            found: Json = await self.run(routes.search, access, body)
            return found


class Strict(APIRoute):
    """A route that refuses query parameters that it does not have, or that are given twice, instead of ignoring them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        handler, known = super().get_route_handler(), _parameters(self.dependant)

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                _check_query(request, known)
            return await handler(request)

        return handle


def _parameters(dependant: Any) -> list[str]:
    """Return the names of the query parameters of a route, those of its models included."""
    names: list[str] = []
    for field in dependant.query_params:
        kind = field.field_info.annotation
        is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
        names += kind.model_fields if is_model else [field.alias]
    return names


def _check_query(request: Request, known: Sequence[str]) -> None:
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            what = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InvalidInput(f"this route has no query parameter {name!r:.60}: {what}.")
        if given.count(name) > 1:
            raise InvalidInput(f"the query parameter {name!r} was given more than once. Give it once.")


class Direct(Strict):
    """A route of a space with a JSON body that skips FastAPI's request handling for valid bodies, which is faster.

    An invalid request goes through FastAPI, which reports the error.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        by_fastapi, model = super().get_route_handler(), get_type_hints(self.endpoint)["body"]

        async def handle(request: Request) -> Response:
            if request.headers.get("content-type") != "application/json" or request.scope["query_string"]:
                return await by_fastapi(request)
            try:
                body = model.model_validate_json(await request.body())
            except (ValidationError, ClientDisconnect):
                return await by_fastapi(request)
            access = await routes.access_to_space(request, request.path_params["space"])
            response: Response = await self.endpoint(access, body)
            return response

        return handle


def _is_small(access: Access, body: models.Search) -> bool:
    """Tell whether a search may be fast: no filters, few hits, a question of usual length, vectors that may be cached."""
    plain = (
        body.model_fields_set <= {"query", "k", "method"}
        and body.method != READ_TOGETHER
        and len(body.query) <= MAX_LENGTH
        and (body.k or 0) <= MAX_HITS
    )
    return plain and (access.embedder is None or isinstance(access.embedder, CachesVectors))


def _without_waiting(access: Access, body: models.Search) -> Json | None:
    """Return the response to a search if it can be computed without blocking, else None."""
    try:
        with access.try_open() as space:
            if space is None:
                return None
            with try_lock(space.text, body.query) as ready:
                return routes.search(access, body) if ready else None
    except StoreBusy:
        return None


def _embedded_words(access: Access, body: models.Search) -> tuple[str, Corpus | None]:
    """Return what the embedder is given of a question, and the cubes of the space, if that does not block."""
    with access.try_open() as space:
        if space is None:
            return clean(body.query), None
        view = space.text.view.snapshot
        return embedded_words(space.text, body.query), None if view is None else view.corpus


def _embed(words: str, corpus: Corpus | None) -> Callable[[Access, models.Search], None]:
    """Return a function that computes and caches the vector of a question and its cosines with the space's cubes."""

    def embed(access: Access, body: models.Search) -> None:
        if access.embedder is not None and words.strip():
            with suppress(EmbedderError):  # the search reports it
                vector = embed_questions(access.embedder, [words])[0]
                if corpus is not None:
                    corpus.vectors.foresee(vector)

    return embed
