"""The decorator of commands: it adds the options that commands share, and opens the terminal that each command gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

import typer

from mnemos.cli.options import FILTERS, SHARED, CliSettings, filters_of
from mnemos.cli.terminal import terminal

Function = Callable[..., None]


def command(*shared: str, filters: bool = False) -> Callable[[Function], Function]:
    """Make a command of a function whose first parameter is a `Terminal`.

    `shared` names options of `SHARED`: by default root, space, embedder and json. Without "embedder" a command opens
    spaces without a model: by words only. With `filters` the function takes `**filters: Unpack[Filters]`, and their
    options come before its keyword-only ones. Errors, warnings and Ctrl-C are handled by `terminal`.
    """
    names = shared or ("root", "space", "embedder", "json")

    def decorate(function: Function) -> Function:
        def run(ctx: typer.Context, **given: Any) -> None:
            common = {name: given.pop(name) for name in names}
            if filters:
                given |= filters_of({name: given.pop(name) for name in FILTERS})
            with terminal(ctx, CliSettings(**{"embedder": "none"} | common)) as t:
                function(t, **given)

        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        options = [
            Parameter("ctx", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(p for p in own if p.kind is Parameter.POSITIONAL_OR_KEYWORD),
            *(_option(name, FILTERS[name]) for name in FILTERS if filters),
            *(p for p in own if p.kind is Parameter.KEYWORD_ONLY),
            *(_option(name, SHARED[name]) for name in names),
        ]
        options = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in options]
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in options}
        return run

    return decorate


def _option(name: str, annotation: Any) -> Parameter:
    default = False if bool in (annotation.__origin__, annotation) else None
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
