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
from dataclasses import dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, NotFound

T = TypeVar("T")
Phase = Literal["prompt", "decode"]
TORCH = "torch"  # the package, and the extra that installs it
FORMS: dict[str, str | None] = {  # the packages whose modules register methods, and what each needs
    "index": None,
    "text": None,
    "activation": TORCH,
    "parametric": TORCH,
    "neural": TORCH,
    "footprint": TORCH,
    "migrate": TORCH,
}
COMPONENT = "component"  # the kind of a part that satisfies no contract on its own
_HOME = Path(__file__).parent
_REGISTER = re.compile(r'^@register\(\s*"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Paper:
    """A publication by its exact title."""

    title: str
    arxiv: str | None = None  # its arXiv id
    code: str | None = None  # the official repository, as owner/name on GitHub


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
    baselines: tuple[str, ...] = ()  # the methods of its form that it has to beat on that task
    phase: Phase = "prompt"  # of a cache method: compresses what was read, or what is generated too
    unmeasured: str | None = None  # why no benchmark measures it

    @property
    def address(self) -> str:
        """The import path of the class or function."""
        return f"{self.target.__module__}.{self.target.__qualname__}"

    @property
    def kind(self) -> str:
        """The contract it satisfies, such as "law"; "component" where it satisfies none."""
        return next(
            (name for name, contract in kinds(self.form, self.operation).items() if satisfies(self.target, contract)),
            COMPONENT,
        )


_ENTRIES: dict[tuple[str, str, str], Entry] = {}  # by form, operation and name


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

    Write the decorator at the start of a line and the name as a literal: names are found by reading the source. Raises
    ValueError when the operation already has another method of that name, when the docstring is missing, or when the
    module is not `mnemos.FORM.OPERATION...`.
    """

    def add(target: T) -> T:
        module: str = target.__module__
        parts = module.split(".")
        if len(parts) < 3 or parts[0] != "mnemos" or parts[1] not in FORMS:
            raise ValueError(f"method {name!r} is in {module}: move it to mnemos.FORM.OPERATION.MODULE")
        doc = inspect.cleandoc(target.__doc__ or "")
        if not doc or _made_by_dataclass(target, doc):
            raise ValueError(f"method {name!r} has no docstring: say in one line what it does")
        operation = _operation(module)
        summary = doc.splitlines()[0]
        entry = Entry(name, parts[1], operation, summary, papers, target, task, baselines, phase, unmeasured)
        known = _ENTRIES.get((entry.form, operation, name))
        if known is not None and known.address != entry.address:
            raise ValueError(f"method name {name!r} is taken by {known.address}: choose another name")
        _ENTRIES[entry.form, operation, name] = entry
        return target

    return add


def kinds(form: str, operation: str = "") -> dict[str, type]:
    """Return the contracts of a form by kind, those of one of its rooms first; the first one that fits is a method's kind.

    They are `KINDS` of the `base` modules of the room and of the form, where they have one.
    """
    found: dict[str, type] = {}
    for room in dict.fromkeys(((form, operation) if operation else (form,), (form,))):
        if _HOME.joinpath(*room, "base.py").exists():
            base = importlib.import_module(".".join(("mnemos", *room, "base")))
            found |= {name: contract for name, contract in getattr(base, "KINDS", {}).items() if name not in found}
    return found


def satisfies(target: Any, contract: type) -> bool:
    """Tell whether a class or function has all members of a protocol, and methods that can be called as it says.

    A method may have more parameters than the protocol's if they have defaults; `*args, **kwargs` in a protocol leave the
    parameters open. A contract that is no protocol is a base class.
    """
    if not getattr(contract, "_is_protocol", False):
        return isinstance(target, type) and issubclass(target, contract)
    fields = {name for c in getattr(target, "__mro__", ()) for name in inspect.get_annotations(c)}
    for name in _members(contract):
        wanted, given = _member(contract, name), _member(target, name)
        if given is None and name not in fields:
            return False
        if callable(wanted) and callable(given) and not _same_call(wanted, given):
            return False
    return True


def all_entries(form: str | None = None, *, kind: str | None = None) -> list[Entry]:
    """Return the methods, or those of a form or kind, by form, operation and name.

    Imports the modules that register them. A form whose packages are not installed has none. Raises NotFound for an
    unknown form.
    """
    for (of, *_), module in names(form).items():
        if installed(of):
            importlib.import_module(module)
    found = [e for e in _ENTRIES.values() if form in (None, e.form) and (kind is None or e.kind == kind)]
    return sorted(found, key=lambda e: (e.form, e.operation, e.name))


def find(name: str, form: str | None = None) -> list[Entry]:
    """Return the methods of a name; imports the modules that register this name only.

    Raises NotFound for an unknown name, with the nearest ones, and where no package that one of them needs is installed,
    with what to install.
    """
    homes = {key: module for key, module in names(form).items() if key[-1] == name}
    if not homes:
        raise NotFound(f"there is no method {name!r}: {near(name, form)}")
    ready = {key: module for key, module in homes.items() if installed(key[0])}
    if not ready:
        of = next(iter(homes))[0]
        raise NotFound(f"{name!r} is a method of form {of!r}, which needs {FORMS[of]}: {install_command(FORMS[of])}")
    for module in ready.values():
        importlib.import_module(module)
    return [_ENTRIES[key] for key in ready]


def get(name: str, *, form: str | None = None, kind: type | str | None = None) -> Entry:
    """Return one method by name; imports as `find` does.

    `form` and `kind` (a contract, or its name) choose among methods of one name. Raises NotFound as `find` does, and for
    one that is of another kind; InvalidInput when the name is still that of several methods.
    """
    if isinstance(kind, type):
        form, kind = _contract(kind)
    found = find(name, form)
    fit = [e for e in found if kind in (None, e.kind)]
    if not fit:
        raise NotFound(f"method {name!r} is of kind {found[0].kind!r}, not {kind!r}: {_of_kind(name, form, kind)}")
    if len(fit) > 1:
        by = "form" if len({e.form for e in fit}) == len(fit) else "kind"
        choices = " or ".join(f"{by}={getattr(e, by)!r}" for e in fit)
        raise InvalidInput(f"{name!r} is the name of {len(fit)} methods: choose one with {choices}.")
    return fit[0]


def name_of(target: Any) -> str | None:
    """Return the name under which a class or function is registered; None where it is not."""
    return next((entry.name for entry in _ENTRIES.values() if entry.target is target), None)


def near(name: str, form: str | None = None) -> str:
    """Return a sentence that suggests the names nearest to one that does not exist."""
    known = {n.lower(): n for *_, n in names(form)}
    close = difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.4)
    return f"did you mean {', '.join(known[c] for c in close)}?" if close else "`mnemos methods` lists all."


def installed(form: str) -> bool:
    """Tell whether the packages that a form needs are installed."""
    needed = FORMS[form]
    return needed is None or importlib.util.find_spec(needed) is not None


def names(form: str | None = None) -> dict[tuple[str, str, str], str]:
    """Return the module of every registered name, by (form, operation, name), as read from the source.

    Nothing is imported; the modules of a form are read once a process. Raises NotFound for an unknown form.
    """
    if form is not None and form not in FORMS:
        raise NotFound(f"there is no form {form!r}: choose from {', '.join(FORMS)}.")
    return {(of, *key): module for of in FORMS if form in (None, of) for key, module in _names(of).items()}


@cache
def _names(form: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for path in sorted((_HOME / form).rglob("*.py")):
        module = ".".join(("mnemos", *path.relative_to(_HOME).with_suffix("").parts)).removesuffix(".__init__")
        for name in _REGISTER.findall(path.read_text(encoding="utf-8")):
            key = _operation(module), name
            if key in found:
                raise ValueError(f"method name {name!r} of {module} is taken by {found[key]}: choose another name")
            found[key] = module
    return found


def _operation(module: str) -> str:
    """Return the operation that a module's path names; "" where it is directly in its form."""
    parts = module.split(".")
    return parts[2] if len(parts) > 3 else ""


def _contract(contract: type) -> tuple[str, str]:
    """Return the form and the kind of a contract. Raises InvalidInput for a class that is none."""
    _, form, operation, *_ = *contract.__module__.split("."), "", "", ""
    known = kinds(form, operation) if form in FORMS else {}
    kind = next((name for name, one in known.items() if one is contract), None)
    if kind is None:
        raise InvalidInput(f"{contract.__qualname__} is not a contract: KINDS of mnemos.FORM.base lists them.")
    return form, kind


def _of_kind(name: str, form: str | None, kind: str | None) -> str:
    """Return a sentence with the methods of a kind, or with the kinds there are."""
    found = [e.name for e in all_entries(form, kind=kind)]
    if found:
        close = difflib.get_close_matches(name, found, n=3, cutoff=0.4) or found
        return f"choose from {', '.join(close)}."
    return f"no method is of that kind; kinds are {', '.join(sorted({e.kind for e in all_entries(form)}))}."


def _made_by_dataclass(target: Any, doc: str) -> bool:
    """Tell whether a docstring is the signature that `dataclass` writes where there is none."""
    return is_dataclass(target) and doc.startswith(f"{getattr(target, '__name__', '')}(")


def _members(contract: type) -> set[str]:
    """Return the names of what a protocol asks for."""
    ours = [c for c in contract.__mro__ if getattr(c, "_is_protocol", False) and c.__module__ != "typing"]
    found = {n for c in ours for n in (*vars(c), *inspect.get_annotations(c))}
    return {n for n in found if n == "__call__" or not n.startswith("_")}


def _member(owner: Any, name: str) -> Any:
    """Return a member of a class (not of its metaclass: every class can be called) or of a function."""
    if not isinstance(owner, type):
        return owner if name == "__call__" else getattr(owner, name, None)
    return next((getattr(owner, name) for c in owner.__mro__ if name in vars(c)), None)


def _same_call(wanted: Callable[..., Any], given: Callable[..., Any]) -> bool:
    """Tell whether `given` takes the parameters of `wanted`, by the same names in the same order."""
    ours, theirs = _parameters(wanted), _parameters(given)
    if any(p.kind is p.VAR_KEYWORD for p in ours):
        return True
    return [p.name for p in ours] == [p.name for p in theirs[: len(ours)]] and all(
        p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in theirs[len(ours) :]
    )


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for name, p in inspect.signature(function).parameters.items() if name != "self"]
