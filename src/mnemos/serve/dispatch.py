"""Who answers a question: the event loop where that takes no wait, else a thread, when it is its turn."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, get_type_hints
from weakref import WeakValueDictionary

from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mnemos.embed.base import knows
from mnemos.errors import EmbedderError, StoreBusy
from mnemos.serve import models, routes
from mnemos.serve.keys import Access
from mnemos.serve.problems import Json
from mnemos.text.encode.messages import clean
from mnemos.text.search import try_lock

AT_ONCE = max(2, os.cpu_count() or 2)  # questions of one space in threads
LEARNING = 4 * AT_ONCE  # those whose vectors are made: more than cores, so that none of these waits for the event loop
LONG, MANY = 4_000, 50  # characters of a question, and hits, above which a search is left to a thread
QUESTIONS = (routes.search, routes.search_sessions, routes.context)


class Dispatcher:
    """Answers questions of a space without more threads than it can use.

    Threads at work in one space wait for each other, and each that wakes takes the interpreter from another. What takes
    no wait is therefore answered where it is asked, on the event loop.
    """

    def __init__(self) -> None:
        self._of: WeakValueDictionary[tuple[Any, ...], asyncio.Semaphore] = WeakValueDictionary()

    def of(self, space: str, count: int = AT_ONCE) -> asyncio.Semaphore:
        """Return the turns of a space, for `count` at a time, which last as long as somebody waits for one."""
        key = (asyncio.get_running_loop(), space, count)
        return self._of.setdefault(key, asyncio.Semaphore(count))

    def wrap(self, route: Callable[..., Any]) -> Callable[..., Any]:
        """Return a route that takes turns, for one that asks a question."""

        @wraps(route)
        async def run(access: Access, body: Any) -> Any:
            if route is routes.search and _light(access, body):
                return await self.search(access, body)
            return await self.in_thread(route, access, body)

        return run

    async def in_thread(self, work: Callable[..., Any], access: Access, body: Any, count: int = AT_ONCE) -> Any:
        """Return what is made in a thread, when it is its turn."""
        async with self.of(access.name, count):
            return await run_in_threadpool(work, access, body)

    async def search(self, access: Access, body: models.Search) -> Json:
        """Search; the vector of a new question is made in a thread, which leaves the interpreter alone meanwhile."""
        if (answer := _at_once(access, body)) is not None:
            return answer
        if not knows(access.embedder, clean(body.query)):
            await self.in_thread(_learner(access), access, body, LEARNING)
        async with self.of(access.name, 1):  # who has waited finds the space free
            if (answer := _at_once(access, body)) is not None:
                return answer
            return await run_in_threadpool(routes.search, access, body)


class Direct(APIRoute):
    """A route of a space that takes a body of JSON: one without fault is handed over as it comes, which is quicker.

    What is at fault goes through FastAPI, which says so.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        usual, model = super().get_route_handler(), get_type_hints(self.endpoint)["body"]

        async def handle(request: Request) -> Response:
            if request.headers.get("content-type") != "application/json":
                return await usual(request)
            try:
                body = model.model_validate_json(await request.body())
            except (ValidationError, ClientDisconnect):
                return await usual(request)
            access = await routes.access_to_space(request, request.path_params["space"])
            answer: Response = await self.endpoint(access, body)
            return answer

        return handle


def _light(access: Access, body: models.Search) -> bool:
    """Tell whether a search may be quick: no filters, few hits, a question of usual length, vectors that can be known."""
    plain = body.model_fields_set <= {"query", "k", "method"} and len(body.query) <= LONG and body.k <= MANY
    return plain and (access.embedder is None or hasattr(access.embedder, "knows"))


def _at_once(access: Access, body: models.Search) -> Json | None:
    """Return the answer to a search if it takes no wait."""
    try:
        with access.try_lock() as space:
            if space is None:
                return None
            with try_lock(space.text, body.query) as ready:
                return routes.search(access, body) if ready else None
    except StoreBusy:
        return None


def _learner(access: Access) -> Callable[[Access, models.Search], None]:
    """Return what has the vector of a question made and kept, and its cosines with what the space holds now."""
    with access.try_lock() as space:
        view = None if space is None else space.view.snapshot

    def learn(access: Access, body: models.Search) -> None:
        if access.embedder is not None and body.query.strip():
            with suppress(EmbedderError):  # the search says so
                vector = access.embedder.embed([clean(body.query)])[0]
                if view is not None:
                    view.corpus.vectors.foresee(vector)

    return learn
