"""Arguments of the mem0 adapter, validated: ids, counts, days and filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from mnemos.errors import InvalidInput

OWNERS = ("user_id", "agent_id", "run_id")  # the first one given owns the memory
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "in": lambda a, b: a in b,
    "nin": lambda a, b: a not in b,
    "gt": lambda a, b: a is not None and bool(a > b),
    "gte": lambda a, b: a is not None and bool(a >= b),
    "lt": lambda a, b: a is not None and bool(a < b),
    "lte": lambda a, b: a is not None and bool(a <= b),
    "contains": lambda a, b: a is not None and b in a,
    "icontains": lambda a, b: str(b).lower() in str("" if a is None else a).lower(),
}


def check_ids(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids as text, as mem0 has them. Raises InvalidInput without one."""
    ids = {}
    for name in OWNERS:
        value = given.get(name)
        if value is None:
            continue
        text = str(value).strip()
        if isinstance(value, bool) or not isinstance(value, str | int) or not text or len(text.split()) > 1:
            raise InvalidInput(f"{name} is {value!r}. Use a non-empty id without spaces.")
        ids[name] = text
    if not ids:
        raise InvalidInput("At least one of user_id, agent_id or run_id is required; reset() erases everything.")
    return ids


def split(filters: Mapping[str, Any] | None, *ids: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the ids, given as arguments or in `filters`, and the other filters. Raises InvalidInput for a conflict."""
    named = {name: value for name, value in zip(OWNERS, ids, strict=True) if value is not None}
    filters = filters or {}
    for name in named.keys() & filters.keys():
        if named[name] != filters[name]:
            raise InvalidInput(f"{name} is {named[name]!r} but {filters[name]!r} in filters. Give it once.")
    rest = {name: value for name, value in filters.items() if name not in OWNERS}
    return check_ids({**filters, **named}), rest


def check_count(top_k: int | None, limit: int | None) -> int:
    """Return the number of results: `top_k` in mem0 2, `limit` in mem0 1."""
    count = 20 if top_k is None and limit is None else top_k if top_k is not None else limit
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InvalidInput(f"top_k is {count!r}. Use a whole number of 0 or more.")
    return count


def to_day(value: Any) -> str | None:
    """Return a day as YYYY-MM-DD; None stays None."""
    if value is None:
        return None
    try:
        return (value if isinstance(value, date) else date.fromisoformat(value)).isoformat()[:10]
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"expiration_date is {value!r}. Use YYYY-MM-DD.") from error


def matches(row: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    """Tell whether a memory passes mem0's filters: values, operators, "*", AND, OR, NOT."""
    for name, wanted in filters.items():
        if name in ("AND", "OR", "NOT"):
            passed = [matches(row, part) for part in wanted]
            if not {"AND": all(passed), "OR": any(passed), "NOT": not any(passed)}[name]:
                return False
        elif isinstance(wanted, Mapping):
            if unknown := wanted.keys() - _COMPARE.keys():
                raise InvalidInput(
                    f"filters: unknown operator {', '.join(map(str, sorted(unknown)))}. Use {', '.join(_COMPARE)}."
                )
            if not all(_COMPARE[op](row.get(name), value) for op, value in wanted.items()):
                return False
        elif wanted != row.get(name) and not (wanted == "*" and row.get(name) is not None):
            return False
    return True
