"""Checks of the server, for load balancers and supervisors. They need no key, no thread of a request and no room."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

from fastapi import Request
from starlette.exceptions import HTTPException

from mnemos import __version__
from mnemos.errors import StoreError
from mnemos.serve.keys import KeyStore
from mnemos.serve.problems import Json
from mnemos.store.open import Root

SECONDS = 5.0  # that the check of the disk may take


class DiskCheck:
    """Checks that the root can be written and the keys can be read, once at a time: whoever asks meanwhile waits for it."""

    def __init__(self, root: Root, keys: KeyStore) -> None:
        self.root = root
        self.keys = keys
        self._lock = threading.Lock()
        self._running: Future[None] | None = None

    async def __call__(self) -> None:
        """Check. Raises OSError and StoreError; TimeoutError when the disk does not answer."""
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._begin())), SECONDS)

    def _begin(self) -> Future[None]:
        with self._lock:
            if self._running is None or self._running.done():
                self._running = future = Future[None]()
                threading.Thread(target=self._check, args=(future,), daemon=True).start()  # it may hang with the disk
            return self._running

    def _check(self, future: Future[None]) -> None:
        try:
            self.root.check()
            self.keys.check()
        except BaseException as error:  # whoever asked raises it
            future.set_exception(error)
        else:
            future.set_result(None)


async def health() -> Json:
    """Report that the server runs. Needs no key."""
    return Json({"status": "ok", "version": __version__})


async def ready(request: Request) -> Json:
    """Report that the root can be read and written and the keys can be read; 503 otherwise. Needs no key."""
    if request.app.state.stopping:
        raise HTTPException(503, "the server is shutting down.", {"Retry-After": "5"})
    try:
        await request.app.state.disk_check()
    except (OSError, StoreError) as error:
        if isinstance(error, TimeoutError):
            why = "the disk does not answer"
        else:
            why = (error.strerror if isinstance(error, OSError) else None) or "the keys cannot be read"
        raise HTTPException(
            503, f"the server cannot work ({why}). Check its log and its disk.", {"Retry-After": "5"}
        ) from error
    return Json({"status": "ready"})
