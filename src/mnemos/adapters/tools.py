"""The tools of `mnemos.agent_tools` as data that every framework takes: a name, a description, a schema, a function."""

from __future__ import annotations

import asyncio
import inspect
import json
import typing
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from mnemos.agent_tools import AgentSpace, AgentTools, as_text
from mnemos.errors import InvalidInput, MnemosError

NAMES = ("remember", "recall", "task", "cases", "working", "beliefs")


@dataclass(frozen=True)
class Tool:
    """One tool. `run` and `arun` take the arguments of the schema and never raise what a model can mend: they say it."""

    name: str
    description: str
    arguments: type[BaseModel]
    function: Callable[..., dict[str, Any]]

    def run(self, /, **arguments: Any) -> str:
        """Return what the tool says, or what was wrong."""
        try:
            given = self.arguments.model_validate(arguments)
            return as_text(self.function(**{name: getattr(given, name) for name in given.model_fields_set}))
        except ValidationError as error:
            what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            return f"error: {what}. Nothing was done."
        except MnemosError as error:
            return f"error: {error}"

    async def arun(self, /, **arguments: Any) -> str:
        """Do the same in a thread: the event loop goes on."""
        return await asyncio.to_thread(lambda: self.run(**arguments))

    async def arun_json(self, arguments: str) -> str:
        """Do the same for arguments as JSON, as a model writes them."""
        try:
            given = json.loads(arguments or "{}")
        except (ValueError, RecursionError) as error:
            return f"error: the arguments are not JSON ({error}). Nothing was done."
        return await self.arun(**given) if isinstance(given, dict) else "error: the arguments are not a JSON object."


def tools_of(space: AgentSpace, agent: str | None, only: Collection[str] | None) -> list[Tool]:
    """Return the tools over a space, or `only` those of these names. Raises InvalidInput for an unknown name."""
    if unknown := sorted(set(only or ()) - set(NAMES)):
        raise InvalidInput(f"there is no tool {unknown[0]!r}: use {', '.join(NAMES)}.")
    tools = AgentTools(space, agent)
    every = (tools.remember, tools.recall, tools.task, tools.cases, tools.working, tools.beliefs)
    return [_tool(function) for function in every if only is None or function.__name__ in only]


def _tool(function: Callable[..., dict[str, Any]]) -> Tool:
    hints = typing.get_type_hints(function, include_extras=True)
    fields: Any = {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    arguments = create_model(f"{function.__name__}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    return Tool(function.__name__, inspect.getdoc(function) or "", arguments, function)
