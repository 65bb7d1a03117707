"""MCP tools for an agent at work: those of `mnemos.agent_tools`, with the space of each call and the rights of its key."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any, Protocol, get_type_hints

from pydantic import Field

from mnemos.agent_tools import AgentTools, Result, writes
from mnemos.space import Space

SERVED = (AgentTools.task, AgentTools.cases, AgentTools.working, AgentTools.beliefs)
Agent = Annotated[str | None, Field(description="Your name, where several agents write.")]
InSpace = Annotated[str | None, Field(description="A space other than the default one, if the server allows it.")]


class Opener(Protocol):
    """Opens the space of one call, with the rights of its key."""

    def __call__(self, name: str | None, *rights: str, create: bool = False) -> AbstractContextManager[Space]:
        """Yield the space; turn errors of Mnemos into errors of the protocol."""


def agent_tools(use: Opener, note: str) -> list[Callable[..., Result]]:
    """Return the tools as functions that also take `agent` and `space`; what they return begins with a note."""
    return [_served(function, use, note) for function in SERVED]


def _served(function: Callable[..., Result], use: Opener, note: str) -> Callable[..., Result]:
    name = function.__name__

    def call(*, agent: str | None = None, space: str | None = None, **arguments: Any) -> Result:
        changes = writes(name, arguments)
        creates = changes and not (name == "working" and arguments.get("do", "show") == "show")
        with use(space, *(("write",) if changes else ()), create=creates) as opened:
            return {"note": note, **function(AgentTools(opened, agent), **arguments)}

    hints = {**get_type_hints(function, include_extras=True), "agent": Agent, "space": InSpace}
    own = list(inspect.signature(function).parameters.values())[1:]
    more = [inspect.Parameter(extra, inspect.Parameter.KEYWORD_ONLY, default=None) for extra in ("agent", "space")]
    parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *more)]
    call.__name__, call.__doc__, call.__annotations__ = name, function.__doc__, hints
    call.__signature__ = inspect.Signature(parameters, return_annotation=Result)  # type: ignore[attr-defined]
    return call
