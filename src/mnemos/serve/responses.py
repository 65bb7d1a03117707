"""Readers of the REST API's responses: JSON to the objects that an embedded space returns."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from mnemos.cube import Hit, Hits, MemCube, Page, SessionHit
from mnemos.facts import Decision, KnownFact, Link
from mnemos.guard.erasure import Receipt
from mnemos.guard.preview import Offer, Preview
from mnemos.inspect.fading import Curve
from mnemos.inspect.timeline import Timeline
from mnemos.store.audit import AuditEntry
from mnemos.store.values import Sizes
from mnemos.text.consolidate.report import Consolidation, Forgotten
from mnemos.text.consolidate.runs import Run
from mnemos.text.forget.policy import Policy


def cubes(data: Any) -> list[MemCube]:
    """Return the cubes of a response."""
    return [MemCube.from_dict(cube) for cube in data["cubes"]]


def page(data: Any) -> Page:
    """Return a page of cubes."""
    return Page([MemCube.from_dict(cube) for cube in data["items"]], data["next_cursor"])


def hits(data: Any) -> Hits:
    """Return the hits of a search."""
    return Hits(map(Hit.from_dict, data["hits"]), data["confidence"], data["answerable"])


def sessions(data: Any) -> list[SessionHit]:
    """Return the sessions that a search found."""
    return [SessionHit(**hit) for hit in data["sessions"]]


def facts(data: Any) -> list[KnownFact]:
    """Return the facts of a response."""
    times = ("valid_from", "valid_to")
    return [KnownFact(**{**fact, **{name: _time(fact[name]) for name in times}}) for fact in data["facts"]]


def decisions(data: Any) -> list[Decision]:
    """Return the decisions of a response."""
    return [Decision(**{**d, "made": _time(d["made"]), "others": tuple(d["others"])}) for d in data["decisions"]]


def audit(data: Any) -> list[AuditEntry]:
    """Return the entries of an audit log."""
    return [AuditEntry(**{**entry, "made": _time(entry["made"])}) for entry in data["entries"]]


def links(data: Any) -> list[Link]:
    """Return the links of a response."""
    return [Link(**link) for link in data["links"]]


def preview(data: Any) -> Preview:
    """Return what an erasure would erase, and what is near."""
    offers = (Offer(MemCube.from_dict(offer["cube"]), offer["reason"]) for offer in data["offers"])
    return Preview(tuple(cubes(data)), tuple(offers))


def receipt(data: Any) -> Receipt:
    """Return the receipt of an erasure."""
    return Receipt.from_json(json.dumps({name: value for name, value in data.items() if name != "verified"}))


def consolidation(data: Any) -> Consolidation:
    """Return what a consolidation did."""
    return Consolidation(
        **{**data, "forgotten": forgotten(data["forgotten"]), "ids_waiting": frozenset(data["ids_waiting"])}
    )


def forgotten(data: Any) -> Forgotten:
    """Return what a policy archived and erased."""
    return Forgotten(**{name: tuple(ids) for name, ids in data.items()})


def policy(data: Any) -> Policy:
    """Return the policy of a space."""
    return Policy(**data)


def timeline(data: Any) -> Timeline:
    """Return a timeline."""
    buckets = [(_time(bucket["start"]), bucket["n"]) for bucket in data["buckets"]]
    return Timeline(data["by"], _time(data["first"]), _time(data["last"]), buckets)


def curve(data: Any) -> Curve:
    """Return the retention of a cube over time."""
    points = [(_time(point["at"]), point["strength"]) for point in data["points"]]
    return Curve(data["law"], data["now"], data["floor"], points, [_time(at) for at in data["recalls"]])


def sizes(data: Any) -> Sizes:
    """Return the sizes of a space."""
    parts = {part["part"]: part["bytes"] for part in data["parts"]}
    forms = [(row["form"], row["kind"], row["n"], row["bytes"]) for row in data["forms"]]
    return Sizes(forms, *(parts[name] for name in ("words index", "vectors", "versions", "links", "file")))


def runs(data: Any) -> list[Run]:
    """Return past consolidations."""
    return [Run(**{**run, "at": _time(run["at"])}) for run in data["runs"]]


def _time(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)
