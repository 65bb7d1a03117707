"""The filters that `search`, `list` and `forget` take, checked and brought to one shape."""

from __future__ import annotations

import json
from typing import Any

from mnemos.cube import to_micros
from mnemos.errors import InvalidInput
from mnemos.store.base import Filter
from mnemos.text.encode.messages import clean, moment

NAMES = ("session", "speaker", "role", "kind", "source", "where", "state")
TIMES = ("since", "until", "as_of")


def make_filter(**filters: Any) -> Filter:
    """Return the filter; None stands for not given, and the state "any" for archived cubes too. Raises InvalidInput."""
    superseded, derived = (bool(filters.pop(name, None)) for name in ("include_superseded", "include_derived"))
    if unknown := filters.keys() - {*NAMES, *TIMES}:
        raise InvalidInput(f"unknown filter {sorted(unknown)}: use {', '.join((*NAMES[:-1], *TIMES))}.")
    times = {name: moment(filters.pop(name, None), name) for name in TIMES}
    where = dict(filters.pop("where", None) or {})
    try:
        json.dumps(where, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"where: {error}. Compare with strings, numbers, booleans or None.") from error
    given: dict[str, Any] = {n: clean(v) if isinstance(v, str) else v for n, v in filters.items() if v is not None}
    if given.get("state") == "any":
        given["state"] = None
    given |= {name: None if time is None else to_micros(time) for name, time in times.items()}
    return Filter(**given, where=where, superseded=superseded, derived=derived)
