"""The registry: every method of every form, by name.

A method registers itself with `@register(name, ...)`. Its form and operation are read from the path of its module
(`mnemos.activation.forget.h2o`), so that an address cannot be wrong; its kind is the contract of `mnemos.FORM.base`
that it satisfies. Contract tests, benchmarks and docs iterate over the registry.

Names are found by reading the source of the forms, which imports nothing: `get` imports one module only, and a method
whose packages are not installed is still known by name.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from mnemos.errors import NotFound

T = TypeVar("T")
Phase = Literal["prompt", "decode"]
FORMS = {  # each package whose modules register methods: the package it needs, and the extra that brings it
    "index": None, "text": None, "activation": ("torch", "torch"), "parametric": ("torch", "torch"), "neural": ("torch", "torch"),
    "footprint": ("torch", "torch"), "migrate": ("torch", "torch"),
}  # fmt: skip
_REGISTER = re.compile(r'^@register\(\s*"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Paper:
    """A publication by its exact title; `arxiv` is its arXiv id and `code` its official code, where it has them."""

    title: str
    arxiv: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered method."""

    name: str
    form: str
    operation: str  # the room it is in; empty where the form has none
    summary: str  # the first line of its docstring
    papers: tuple[Paper, ...]  # none: it is Mnemos' own
    target: Any  # the class or function
    task: str | None = None  # the benchmark task on which its paper's claim is measured
    baselines: tuple[str, ...] = ()  # the methods of its kind that it has to beat on that task
    phase: Phase = "prompt"  # of a cache method: compresses what was read, or what is generated too
    unmeasured: str | None = None  # why no benchmark measures it

    @property
    def address(self) -> str:
        """The import path of the class or function."""
        return f"{self.target.__module__}.{self.target.__qualname__}"

    @property
    def kind(self) -> str:
        """The contract it satisfies, such as "law"; "component" for a part that satisfies none on its own."""
        for name, protocol in kinds(self.form).items():
            if satisfies(self.target, protocol):
                return name
        return "component"


_ENTRIES: dict[tuple[str, str], Entry] = {}


def register(
    name: str,
    *,
    papers: tuple[Paper, ...] = (),
    task: str | None = None,
    baselines: tuple[str, ...] = (),
    phase: Phase = "prompt",
    unmeasured: str | None = None,
) -> Callable[[T], T]:
    """Register the decorated class or function; the first line of its docstring is the summary.

    Raises ValueError when the form already has another method of that name, when the docstring is missing, or when the
    module is not `mnemos.FORM.OPERATION...`.
    """

    def add(target: T) -> T:
        module: str = target.__module__
        parts = module.split(".")
        if len(parts) < 3 or parts[0] != "mnemos" or parts[1] not in FORMS:
            raise ValueError(f"method {name!r} is in {module}: put it into mnemos.FORM.OPERATION.MODULE")
        doc = (target.__doc__ or "").strip()
        if not doc:
            raise ValueError(f"method {name!r} has no docstring: say in one line what it does")
        entry = Entry(
            name, parts[1], parts[2] if len(parts) > 3 else "", doc.splitlines()[0].strip(),
            papers, target, task, baselines, phase, unmeasured,
        )  # fmt: skip
        known = _ENTRIES.get((entry.form, name))
        if known is not None and known.address != entry.address:
            raise ValueError(f"method name {name!r} is taken by {known.address}: choose another name")
        _ENTRIES[entry.form, name] = entry
        return target

    return add


def kinds(form: str) -> dict[str, type]:
    """Return the contracts of a form by kind: `KINDS` of its `base` module; the first one that fits is a method's kind."""
    base = f"mnemos.{form}.base"
    if importlib.util.find_spec(base) is None:
        return {}
    found: dict[str, type] = getattr(importlib.import_module(base), "KINDS", {})
    return found


def satisfies(target: Any, protocol: type) -> bool:
    """Tell whether a class or function has all methods of a protocol, with the same parameter names."""
    for name in getattr(protocol, "__protocol_attrs__", None) or _members(protocol):
        wanted, given = getattr(protocol, name, None), getattr(target, name, None)
        if name == "__call__" and inspect.isfunction(target):
            given = target
        if given is None and name not in getattr(target, "__annotations__", {}):
            return False
        if callable(wanted) and callable(given) and _parameters(wanted) != _parameters(given):
            return False
    return True


def all_entries(form: str | None = None, *, kind: str | None = None) -> list[Entry]:
    """Return the methods, or those of a form or kind, by form, operation and name.

    Imports the modules that register them. A form whose packages are not installed has none.
    """
    for (of, _), module in names().items():
        if form in (None, of) and installed(of):
            importlib.import_module(module)
    found = [e for e in _ENTRIES.values() if form in (None, e.form) and (kind is None or e.kind == kind)]
    return sorted(found, key=lambda e: (e.form, e.operation, e.name))


def get(name: str, *, form: str | None = None, kind: type | str | None = None) -> Entry:
    """Return one method by name; imports the modules that register this name only.

    `form` and `kind` (a contract, or its name) choose among methods of one name. Raises NotFound for an unknown name, with
    the nearest ones, for one whose packages are not installed, with what to install, and for one that is of another kind.
    """
    homes = {of: module for (of, known), module in names().items() if known == name and form in (None, of)}
    if not homes:
        raise NotFound(f"there is no method {name!r}: {near(name, form)}")
    if missing := [of for of in homes if not installed(of)]:
        extra = FORMS[missing[0]]
        assert extra is not None
        if len(missing) == len(homes):
            raise NotFound(
                f"{name!r} is a method of {missing[0]} memory, which needs {extra[0]}: pip install 'mnemos[{extra[1]}]'"
            )
    for of in homes.keys() - set(missing):
        importlib.import_module(homes[of])
    found = [_ENTRIES[of, name] for of in homes if of not in missing]
    wanted = kind if isinstance(kind, str) or kind is None else _kind_name(kind)
    fit = [e for e in found if wanted is None or e.kind == wanted]
    if not fit:
        raise NotFound(f"{name!r} is a {found[0].kind}, not a {wanted}: {near(name, form)}")
    if len(fit) > 1:
        places = " or ".join(f"form={e.form!r}" for e in fit)
        raise NotFound(f"{name!r} names {len(fit)} methods: choose one with {places}.")
    return fit[0]


def near(name: str, form: str | None = None) -> str:
    """Return a sentence that suggests the names nearest to one that does not exist."""
    known = sorted({n for of, n in names() if form in (None, of)})
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"did you mean {', '.join(close)}?" if close else "`mnemos methods` lists all."


def installed(form: str) -> bool:
    """Tell whether the packages that a form needs are installed."""
    needed = FORMS[form]
    return needed is None or importlib.util.find_spec(needed[0]) is not None


@cache
def names() -> dict[tuple[str, str], str]:
    """Return the module of every registered name, by (form, name), as read from the source: nothing is imported."""
    found: dict[tuple[str, str], str] = {}
    home = Path(__file__).parent
    for form in FORMS:
        for path in sorted((home / form).rglob("*.py")):
            module = ".".join(("mnemos", *path.relative_to(home).with_suffix("").parts))
            for name in _REGISTER.findall(path.read_text(encoding="utf-8")):
                found[form, name] = module
    return found


def _kind_name(protocol: type) -> str:
    for form in FORMS:
        if (Path(__file__).parent / form).is_dir() and installed(form):
            for name, known in kinds(form).items():
                if known is protocol:
                    return name
    return protocol.__name__


def _members(protocol: type) -> set[str]:
    """Return what a protocol asks for, on Pythons that do not keep it."""
    ours = [
        c for c in protocol.__mro__ if getattr(c, "_is_protocol", False) and c.__name__ not in ("Protocol", "Generic")
    ]
    names = {n for c in ours for n in (*vars(c), *getattr(c, "__annotations__", {}))}
    return {n for n in names if n == "__call__" or not n.startswith("_")}


def _parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]
