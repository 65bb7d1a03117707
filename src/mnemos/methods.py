"""The registry: every method by name, form, operation and source."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from mnemos.errors import NotFound

Operation = Literal["encode", "recall", "update", "forget", "consolidate", "compress"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Paper:
    """A publication by its exact title; `arxiv` is its arXiv id, where it has one."""

    title: str
    arxiv: str | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One registered method: where it lives, what it does in a sentence, and what it comes from."""

    name: str
    form: str
    operation: Operation
    summary: str
    papers: tuple[Paper, ...]
    target: object

    @property
    def address(self) -> str:
        """The import path of the class or function."""
        return f"{getattr(self.target, '__module__', '?')}.{getattr(self.target, '__qualname__', '?')}"


_METHODS: dict[str, Method] = {}
_FORMS = {"text": None, "activation": "torch"}  # the packages whose modules register methods, and what they need


def method(name: str, *, form: str, operation: Operation, papers: tuple[Paper, ...] = ()) -> Callable[[T], T]:
    """Register the decorated class or function; its docstring's first line is the summary.

    Raises ValueError when the name is taken by another object or the docstring is missing.
    """

    def register(target: T) -> T:
        doc = (getattr(target, "__doc__", None) or "").strip()
        if not doc:
            raise ValueError(f"method {name!r} has no docstring: say in one line what it does")
        known = _METHODS.get(name)
        entry = Method(name, form, operation, doc.splitlines()[0].strip(), papers, target)
        if known is not None and known.address != entry.address:
            raise ValueError(f"method name {name!r} is taken by {known.address}: choose another name")
        _METHODS[name] = entry
        return target

    return register


def all_methods() -> list[Method]:
    """Import every module of the forms and return what they registered, by form, operation and name.

    A form whose packages are not installed has none.
    """
    for form, needed in _FORMS.items():
        if needed is not None and importlib.util.find_spec(needed) is None:
            continue
        package = importlib.import_module(f"mnemos.{form}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return sorted(_METHODS.values(), key=lambda m: (m.form, m.operation, m.name))


def get_method(name: str) -> Method:
    """Return one method by name; an unknown name raises NotFound and names the nearest ones."""
    known = {m.name: m for m in all_methods()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "`mnemos methods` lists all"
    raise NotFound(f"no method is called {name!r}: {hint}")
