"""Which conversation a chat belongs to.

The API is stateless: a client sends the whole history with every message, and nothing says which conversation it is. It
is told from evidence, never from alike words alone:

- A request may name it (`X-Mnemos-Session`, `conversation`, an id in `metadata`); then it has that session.
- A history that ends in an answer which was stored continues the conversation of that answer, for 30 days.
- An opening message starts a conversation of its own, however often it has been said before, unless it repeats a request:
  the client says so (`X-Stainless-Retry-Count`, which OpenAI's clients send), or the first one was broken off within the
  last 10 minutes, or it names its session and said the same there within the last minute.

Each conversation has a random root, from which the ids of its messages are derived together with all that was said before
them. So a repeated request stores nothing twice, and the same words in another conversation are new.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mnemos.errors import StoreError
from mnemos.location import Location
from mnemos.serve.conversation import Exchange
from mnemos.store.open import open_chats
from mnemos.store.server import ChatRow

log = logging.getLogger("mnemos.serve")

CONTINUED = 30 * 86_400.0  # seconds for which a history is recognised after its last message
UNANSWERED = 600.0  # seconds in which an opening message whose answer was broken off may be sent again
SAME_SESSION = 60.0  # seconds in which the same opening message of a named session is a repeated request


@dataclass(frozen=True)
class Place:
    """Where an exchange stands: the conversation that it belongs to, and whether that is certain.

    It is not for a history that was not found: its last answer may still be being stored.
    """

    root: str
    certain: bool


class ChatBook:
    """The conversations of a proxy, stored without texts, so that they outlast a restart."""

    def __init__(self, root: Location) -> None:
        self._rows = open_chats(root)

    def place(self, exchange: Exchange, retried: bool, now: datetime) -> Place:
        """Return the conversation of an exchange, a new one if none is known. Never raises when they cannot be read."""
        at = now.timestamp()
        try:
            found = self._rows.find(exchange.keys, at - CONTINUED)
        except StoreError as error:
            log.warning("the conversations of the proxy cannot be read: %s", type(error).__name__)
            found = []
        row = _opening(exchange, found, retried, at) if exchange.opens else _continued(exchange, found)
        return Place(row.root if row else secrets.token_hex(10), exchange.opens or row is not None)

    def record(self, exchange: Exchange, root: str, answered: bool, later: Sequence[str], now: datetime) -> None:
        """Record that an exchange was stored, whether it was answered, and the places after it. Raises StoreError."""
        at = now.timestamp()
        turn = exchange.turn_key
        rows = [ChatRow(key, root, at, True) for key in exchange.earlier_keys]
        if turn is not None:
            rows.append(ChatRow(turn, root, at, answered))
        rows += [ChatRow(key, root, at, False) for key in later]
        self._rows.put(rows, at - CONTINUED)

    def close(self) -> None:
        """Release the rows."""
        self._rows.close()


def _opening(exchange: Exchange, found: Sequence[ChatRow], retried: bool, now: float) -> ChatRow | None:
    """Return the row of an opening message if it repeats a request, or if tools were called since."""
    row = next((row for row in found if row.key == exchange.turn_key), None)
    if row is None:
        return None
    patience = SAME_SESSION if exchange.session else 0.0
    again = now - row.at < (patience if row.done else UNANSWERED)
    return row if retried or exchange.continues_turn or again else None


def _continued(exchange: Exchange, found: Sequence[ChatRow]) -> ChatRow | None:
    """Return the row of the conversation that a history continues.

    Several may have said the same so far. One that nobody has continued yet is preferred, unless this very request was
    seen since: then it is repeated.
    """
    turn = next((row for row in found if row.key == exchange.turn_key), None)
    for key in exchange.earlier_keys:
        rows = [row for row in found if row.key == key]
        waiting = next((row for row in rows if not row.done), None)
        if turn is not None and (waiting is None or turn.at >= waiting.at):
            return turn
        if rows:
            return waiting or rows[0]
    return turn or next((row for row in found if row.key == exchange.unanswered_key and not row.done), None)
