"""Check a record of an archive as strictly as a message: what comes in from outside has the limits of `add`.

A record may come from anywhere, over REST too. It is refused when a message with these values would be, when a header field
has another type than a cube's, or when its life is one that no law of forgetting makes.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

from mnemos.cube import Form, MemCube, State
from mnemos.errors import InvalidInput
from mnemos.facts import STORED_LINKS, Link, StoredFact
from mnemos.text.encode.messages import MAX_NAME, clean, to_draft

MAX_PARENTS = 100_000
MAX_RECALLS = 10_000_000
GAIN = 1_000.0  # strength that one recall adds at most, under any law
MAX_WEIGHT = 1e9  # of a link
MAX_FACTS = 10_000  # of one cube
LATE = timedelta(days=1)  # that clocks may differ

# Which JSON values fit a field of a cube, by the field's annotation. `_fits` handles "| None".
_SHAPES: dict[str, Callable[[Any], bool]] = {
    "str": lambda v: isinstance(v, str) and clean(v) == v,
    "datetime": lambda v: isinstance(v, str) and 2 <= datetime.fromisoformat(v).year <= 9998,
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**62,
    "float": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v),
    "bool": lambda v: isinstance(v, bool),
    "tuple[str, ...]": lambda v: isinstance(v, list) and all(isinstance(p, str) and clean(p) == p for p in v),
    "Mapping[str, Any]": lambda v: isinstance(v, Mapping) and bool(json.dumps(v, allow_nan=False)),
    "Form": lambda v: v in get_args(Form),
    "State": lambda v: v in get_args(State),
}
_TOLD = ("id", "session", "speaker", "role", "kind", "source", "metadata")


def check_shape(record: object, where: str) -> None:
    """Raise InvalidInput unless a record has the shape of a cube and its versions."""
    if not isinstance(record, Mapping) or not isinstance(record.get("versions"), list | tuple):
        raise InvalidInput(f"{where}: not a cube with its versions. Nothing was stored.")
    for cube in (*record["versions"], record.get("cube")):
        if not isinstance(cube, Mapping) or not cube.get("id") or not str(cube.get("text") or "").strip():
            raise InvalidInput(f"{where}: not a cube with an id and a text. Nothing was stored.")
        for field in dataclasses.fields(MemCube):
            if field.name in cube and not _fits(cube[field.name], str(field.type)):
                raise InvalidInput(
                    f"{where}: {field.name} is {cube[field.name]!r:.60}, expected {field.type}. Nothing was stored."
                )


def _fits(value: Any, annotation: str) -> bool:
    if annotation.endswith(" | None"):
        return value is None or _fits(value, annotation.removesuffix(" | None"))
    try:
        return annotation not in _SHAPES or _SHAPES[annotation](value)
    except (ValueError, OverflowError, TypeError, RecursionError):  # no time, no finite number, nested too deeply
        return False


def check_cube(cube: MemCube, where: str, now: datetime) -> None:
    """Raise InvalidInput for a cube that `add` would refuse, or whose life no law makes."""
    to_draft({"content": cube.text, **{name: getattr(cube, name) for name in _TOLD}}, where=where)
    if not cube.id.strip():
        raise InvalidInput(f"{where}: id is blank. Nothing was stored.")
    if cube.form != "text":
        raise InvalidInput(f"{where}: form is {cube.form!r}; an archive holds texts. Nothing was stored.")
    if len(cube.parents) > MAX_PARENTS or any(not 0 < len(name) <= MAX_NAME for name in cube.parents):
        raise InvalidInput(f"{where}: parents are no list of at most {MAX_PARENTS:,} ids. Nothing was stored.")
    if not 0 <= cube.recalls <= MAX_RECALLS or not 0 < cube.strength <= GAIN * (1 + cube.recalls):
        raise InvalidInput(
            f"{where}: strength is {cube.strength:g} after {cube.recalls:,} recalls, which no law of forgetting gives. "
            "Nothing was stored."
        )
    if cube.layer not in (0, 1, 2):
        raise InvalidInput(f"{where}: layer is {cube.layer}, expected 0, 1 or 2. Nothing was stored.")
    if cube.recalled_at is not None and cube.recalled_at > max(now, cube.learned) + LATE:
        raise InvalidInput(f"{where}: recalled_at is {cube.recalled_at:%Y-%m-%d}, in the future. Nothing was stored.")


def _names_cube(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and clean(name) == name


def check_stated(facts: list[StoredFact] | None, links: list[Link], text: str, where: str) -> None:
    """Raise InvalidInput for facts that are not of the text, and for links that are never written."""
    for f in facts or ():
        texts = (f.fact.subject, f.fact.attribute, f.fact.value)
        if len(facts or ()) > MAX_FACTS or not (
            all(isinstance(t, str) and clean(t) == t and len(t) <= len(text) + MAX_NAME for t in texts)
            and isinstance(f.fact.exclusive, bool | int)
            and isinstance(f.fact.negated, bool | int)
            and all(isinstance(n, int) for n in (f.fact.start, f.fact.end))
            and 0 <= f.fact.start <= f.fact.end <= len(text)
            and _names_cube(f.ended_by or f.cube)
        ):
            raise InvalidInput(f"{where}: a fact that its text cannot state. Nothing was stored.")
    for link in links:
        if link.kind not in STORED_LINKS or not 0 <= link.weight <= MAX_WEIGHT or not _names_cube(link.b):
            raise InvalidInput(
                f"{where}: a link of the kind {link.kind!r:.60} with the weight {link.weight:g}, expected one of "
                f"{', '.join(STORED_LINKS)}. Nothing was stored."
            )
