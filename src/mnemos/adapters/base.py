"""What adapters use of a memory and of its spaces: the verbs of both kinds, and what only embedded ones offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from mnemos.cube import Hit, MemCube, Page, utc_now
from mnemos.guard.erasure import Receipt

ROLES = {
    "human": "user", "ai": "assistant", "chatbot": "assistant", "model": "assistant", "bot": "assistant",
    "function": "tool", "developer": "system",
}  # fmt: skip


class MemorySpace(Protocol):
    """The verbs of `mnemos.Space` that adapters call. A space of `mnemos.serve.client` has them too."""

    @property
    def add(self) -> Callable[..., MemCube]:
        """Store one message."""

    @property
    def add_many(self) -> Callable[..., list[MemCube]]:
        """Store messages, all or none."""

    @property
    def search(self) -> Callable[..., list[Hit]]:
        """Return the cubes that answer a question, best first."""

    @property
    def context(self) -> Callable[..., str]:
        """Return a block for a prompt."""

    @property
    def get(self) -> Callable[[str], MemCube]:
        """Return a cube. Raises NotFound."""

    @property
    def cubes(self) -> Callable[..., Page]:
        """Return a page of cubes."""

    @property
    def history(self) -> Callable[[str], Sequence[MemCube]]:
        """Return all versions of a cube, oldest first. Raises NotFound."""

    @property
    def update(self) -> Callable[..., MemCube]:
        """Write the next version of a cube. Raises NotFound and Conflict."""

    @property
    def delete(self) -> Callable[[str], Sequence[str]]:
        """Erase a cube. Raises NotFound."""

    @property
    def forget(self) -> Callable[..., Receipt]:
        """Erase cubes. Raises NotFound when none matches."""


class Memory(Protocol):
    """A `mnemos.Mnemos` or a `mnemos.serve.client.Client`."""

    def space(self, name: str) -> MemorySpace:
        """Return a space."""

    def spaces(self) -> list[str]:
        """Return the names of the spaces."""

    def close(self) -> None:
        """Close the files or connections."""


def role_of(name: object) -> str | None:
    """Return whose words a framework's role names: user, assistant, tool or system; None without one.

    A role that is not known is kept as it is: only "user" and "human" are the user's.
    """
    return None if name is None else ROLES.get(str(name).casefold(), str(name))


@runtime_checkable
class RemovesSpaces(Protocol):
    """A memory that can remove a whole space."""

    def remove(self, name: str) -> Any:
        """Remove a space."""


@runtime_checkable
class FindsSpaces(Protocol):
    """A memory that can look up one name without listing all."""

    def __contains__(self, name: str) -> bool: ...


@runtime_checkable
class Quarantines(Protocol):
    """A space that can tell which hits `context` would withhold."""

    def quarantined(self, question: str, found: Sequence[Hit] | None = None) -> Mapping[str, str]:
        """Return the ids of the hits to withhold, with the reasons."""


@runtime_checkable
class HasClock(Protocol):
    """A memory or space with a clock of its own, as tests set it."""

    @property
    def clock(self) -> Callable[[], datetime]:
        """Return the current time."""


def clock_of(source: object) -> Callable[[], datetime]:
    """Return the clock of a memory or space, or the system's."""
    return source.clock if isinstance(source, HasClock) else utc_now
