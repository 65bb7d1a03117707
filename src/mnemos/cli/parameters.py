"""The parameters of a method as its source has them: name, type, default, and the comment at the field."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method."""

    name: str
    type: str
    default: str  # as the source writes it; empty where a value has to be given
    comment: str  # the comment at its line, or right above it; empty where there is none


def parameters(target: Any) -> list[Parameter]:
    """Return what a user may set: a data class's fields, else the arguments of `__init__`, or a function's with a default."""
    if is_dataclass(target):
        fields: dict[str, Parameter] = {}
        for owner in reversed(inspect.getmro(target if isinstance(target, type) else type(target))):
            if is_dataclass(owner):
                fields |= {p.name: p for p in _fields(owner)}
        return list(fields.values())
    if inspect.isclass(target):
        init = next((n for n in _node(target).body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
        return list(_arguments(init, target.__module__)) if init else []
    return [p for p in _arguments(_node(target), target.__module__) if p.default]


def _fields(owner: type) -> Iterator[Parameter]:
    for node in _node(owner).body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        kind, default = ast.unparse(node.annotation), _default(node.value)
        if default is not None and not kind.startswith("ClassVar") and not node.target.id.startswith("_"):
            yield Parameter(node.target.id, kind, default, _comment(owner.__module__, node.lineno, node.end_lineno))


def _default(value: ast.expr | None) -> str | None:
    """Return a field's default as a user would write it; None for a field that cannot be given."""
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "field"):
        return "" if value is None else ast.unparse(value)
    options = {k.arg: ast.unparse(k.value) for k in value.keywords}
    if options.get("init") == "False":
        return None
    if (factory := options.get("default_factory")) is not None:
        return factory.removeprefix("lambda: ") if factory.startswith("lambda") else f"{factory}()"
    return options.get("default", "")


def _arguments(node: Any, module: str) -> Iterator[Parameter]:
    given = node.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + given.defaults
    for argument, default in [
        *zip(plain, defaults, strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]:
        if argument.arg != "self":
            kind = ast.unparse(argument.annotation) if argument.annotation else ""
            last = (default or argument).end_lineno
            yield Parameter(argument.arg, kind, _default(default) or "", _comment(module, argument.lineno, last))


@cache
def _source(module: str) -> tuple[ast.Module, dict[int, str], list[str]]:
    """Return a module's tree, its comments by line, and its lines."""
    text = inspect.getsource(importlib.import_module(module))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}
    return ast.parse(text), comments, text.splitlines()


def _node(target: Any) -> Any:
    """Return the syntax tree of a class or function."""
    name = target.__name__
    for node in ast.walk(_source(target.__module__)[0]):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"{target.__module__} does not define {name}")


def _comment(module: str, first: int, last: int | None) -> str:
    """Return the comment on the lines of a parameter, or that on the lines right above them."""
    _, comments, lines = _source(module)
    found = [
        comments[n]
        for n in range(first, (last or first) + 1)
        if n in comments and not comments[n].startswith(("fmt:", "type:"))
    ]
    if not found:
        above = first - 1
        while above in comments and lines[above - 1].lstrip().startswith("#"):
            found.insert(0, comments[above])
            above -= 1
    return " ".join(found)
