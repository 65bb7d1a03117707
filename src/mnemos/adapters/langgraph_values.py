"""Values of LangGraph items: their text for search, and filters over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langgraph.store.base import MatchCondition, get_text_at_path


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


def equal(value: Any, wanted: Any) -> bool:
    """Tell whether a value passes a filter: equal, by operators, or element by element."""
    if isinstance(wanted, Mapping):
        if any(name.startswith("$") for name in wanted):
            return all(_compare(value, name, x) for name, x in wanted.items())
        return isinstance(value, Mapping) and all(equal(value.get(name), x) for name, x in wanted.items())
    if isinstance(wanted, list | tuple):
        same_length = isinstance(value, list | tuple) and len(value) == len(wanted)
        return same_length and all(equal(v, w) for v, w in zip(value, wanted, strict=True))
    return bool(value == wanted)


def _compare(value: Any, operator: str, wanted: Any) -> bool:
    if operator in ("$eq", "$ne"):
        return bool(value == wanted) is (operator == "$eq")
    if operator not in ("$gt", "$gte", "$lt", "$lte"):
        raise ValueError(f"unsupported operator {operator}. Use $eq, $ne, $gt, $gte, $lt or $lte.")
    if value is None:
        return False
    a, b = float(value), float(wanted)
    return {"$gt": a > b, "$gte": a >= b, "$lt": a < b, "$lte": a <= b}[operator]
