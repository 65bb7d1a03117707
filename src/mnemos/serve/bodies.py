"""Bodies of requests as they arrive: bounded in size, time and number."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from mnemos.serve.limits import Room


class Seat:
    """The place of one request among those at work. It is taken once the request has arrived whole."""

    def __init__(self, room: Room, space: str) -> None:
        self.room = room
        self.space = space
        self.taken = False
        self.held = 0  # bytes of the body

    def take(self) -> None:
        """Take the place, once. Raises HTTPException when there is none."""
        if self.taken:
            return
        if not self.room.enter(self.space):
            raise HTTPException(
                503,
                "too many requests are at work. Nothing was done. Try again (see Retry-After).",
                {"Retry-After": "1"},
            )
        self.taken = True

    def hold(self, size: int) -> None:
        """Count bytes of the body, which stay in RAM until the response. Raises HTTPException when all are too many."""
        self.held += size
        self.room.held += size
        if self.room.held > self.room.most_held:
            raise HTTPException(
                503, "the bodies of all requests are too large for this server now. Nothing was done. Try again.",
                {"Retry-After": "1"},
            )  # fmt: skip

    def free(self) -> None:
        """Give the place and the bytes back."""
        if self.taken:
            self.room.leave(self.space)
        self.room.held -= self.held
        self.taken, self.held = False, 0


class LimitedBody:
    """A `receive` that bounds a body in size and time, whatever its Content-Length says.

    The whole body must arrive within `seconds`; of a streamed body, each part.
    """

    def __init__(self, receive: Receive, max_size: int, seconds: float, streamed: bool, seat: Seat) -> None:
        self.receive = receive
        self.max_size = max_size
        self.seconds = seconds
        self.streamed = streamed
        self.seat = seat
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.size = 0
        self.done = False

    async def __call__(self) -> Message:
        """Receive the next part. Raises HTTPException when it is late, the body too large, or the server busy."""
        if self.done:  # the next message is the disconnect, at any time
            return await self.receive()
        try:
            async with asyncio.timeout(self.seconds) if self.streamed else asyncio.timeout_at(self.deadline):
                message = await self.receive()
        except TimeoutError as error:
            raise HTTPException(408, f"the body did not arrive within {self.seconds:g} seconds.") from error
        size = len(message.get("body", b""))
        self.size += size
        self.done = not message.get("more_body", False)
        if self.size > self.max_size:
            raise too_large(self.max_size)
        if not self.streamed:
            self.seat.hold(size)
        if self.done:
            self.seat.take()
        return message


def too_large(limit: int) -> HTTPException:
    """Return the error for a body above the limit of its route."""
    return HTTPException(413, f"the body is larger than {limit:,} bytes. Send it in parts.")
