"""Values of LangGraph items: their text for search, and filters over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langgraph.store.base import MatchCondition, get_text_at_path

from mnemos.store.where import MISSING, Test, condition


def to_text(value: Mapping[str, Any], paths: Sequence[str] | None) -> str:
    """Return the searchable text of a value: what is at `paths`, or all its leaves."""
    if paths is None:
        return "\n".join(_leaves(value, ""))
    return "\n".join(text for path in paths for text in get_text_at_path(value, path))


def _leaves(value: Any, name: str) -> Iterator[str]:
    """Yield "name: leaf" for every leaf that is not None."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, str(key))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part, name)
    elif value is not None:
        yield f"{name}: {value}" if name else str(value)


def fits(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    """Tell whether a namespace starts or ends with the condition's path; "*" matches any label."""
    path = condition.path
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[::-1][: len(path)][::-1]
    return len(part) == len(path) and all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))


def passes(wanted: Any) -> Test:
    """Return a function that tells whether a value passes a filter: equal, by operators, or by parts of a mapping.

    The operators are those of `where`. Raises InvalidInput for an unknown one.
    """
    if not isinstance(wanted, Mapping) or any(str(name).startswith("$") for name in wanted):
        return condition(wanted)
    # as in LangGraph's own store, a mapping may have more than its filter, and what is missing is None
    tests = {
        name: (passes(x), MISSING if isinstance(x, Mapping) and "$exists" in x else None) for name, x in wanted.items()
    }

    def test(value: Any) -> bool:
        return isinstance(value, Mapping) and all(t(value.get(name, none)) for name, (t, none) in tests.items())

    return test
