"""Arguments of the mem0 adapter, validated: ids, counts, days and filters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from mnemos.errors import InvalidInput

OWNERS = ("user_id", "agent_id", "run_id")  # the first one given owns the memory
_GROUPS = {"AND": "$and", "OR": "$or", "NOT": "$not"}
_COMPARE = ("eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "contains", "icontains")


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


def to_where(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return mem0's filters (values, operators, "*", AND, OR, NOT) in the language of `where`.

    As in mem0, NOT takes a list of which none may match, a dict is operators, and a field that is missing equals None. The
    operators of `where` pass as they are.
    """
    found: list[dict[str, Any]] = []
    for name, wanted in filters.items():
        if name in _GROUPS:
            parts = [to_where(part) for part in ([wanted] if isinstance(wanted, Mapping) else wanted or ())]
            found.append({"$not": {"$or": parts}} if name == "NOT" else {_GROUPS[name]: parts})
        elif name.startswith("$"):
            found.append({name: wanted})
        elif isinstance(wanted, Mapping):
            found.append({name: {_operator(op): value for op, value in wanted.items()}})
        elif wanted is None:
            found.append({"$or": [{name: None}, {name: {"$exists": False}}]})
        else:
            found.append({name: {"$exists": True, "$ne": None} if wanted == "*" else wanted})
    return {"$and": found} if found else {}


def _operator(name: str) -> str:
    if name not in _COMPARE and not str(name).startswith("$"):
        raise InvalidInput(f"filters: unknown operator {name}. Use {', '.join(_COMPARE)}.")
    return name if name.startswith("$") else f"${name}"
