"""Requests and responses of the routes for the page, for validation and OpenAPI; see also `models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, FiniteFloat

from mnemos.serve.models import Query, Strict, Whole, filtered


@filtered
class Timeline(Query):
    """Which cubes to count, and the width of the buckets; `where` is a JSON object."""

    by: Literal["day", "week", "month", "year", "century", "auto"] = "auto"


class Graph(Strict):
    """Where a graph starts, and how far it reaches."""

    around: str | None = None
    depth: int = Field(1, ge=1, le=3)
    limit: int = Field(60, ge=1, le=200)
    kind: str | None = None


class Pin(Strict):
    """Whether to pin the cube or to unpin it."""

    on: bool


class Archive(Strict):
    """Cubes to archive, or with `back` to restore."""

    ids: list[str] = Field(max_length=10_000)
    back: bool = False


class ApplyPolicy(Strict):
    """Whether only to show what the policy would archive and erase."""

    preview: bool = True


Limit = Annotated[FiniteFloat, Field(ge=0)] | None
Count = Annotated[Whole, Field(ge=0, lt=2**53)] | None


class PolicyShape(Strict):
    """The policy of a space: its law, the constants that differ from the defaults, and its limits."""

    law: str = "ebbinghaus"
    constants: dict[str, bool | Whole | FiniteFloat | list[FiniteFloat]] = Field(default_factory=dict)
    min_retention: Limit = None
    cubes: Count = None
    bytes: Count = None
    days: Limit = None
    archived_cubes: Count = None
    archived_bytes: Count = None
    archived_days: Limit = None


class Bucket(BaseModel):
    """The number of cubes that happened from `start` to the start of the next bucket."""

    start: str
    n: int


class TimelineShape(BaseModel):
    """A timeline: contiguous buckets from the first cube to the last."""

    by: Literal["day", "week", "month", "year", "century"]
    first: str | None
    last: str | None
    buckets: list[Bucket]


class Node(BaseModel):
    """A cube in a graph: the start of its text, and its strength now by the law of the space."""

    id: str
    text: str
    kind: str
    state: str
    at: str
    strength: float


class Edge(BaseModel):
    """A link in a graph."""

    source: str
    target: str
    kind: str
    weight: float


class GraphShape(BaseModel):
    """A graph; both ends of every edge are among the nodes."""

    nodes: list[Node]
    edges: list[Edge]


class Brief(BaseModel):
    """A cube in a list: the start of its text, and its strength now by the law of the space."""

    id: str
    text: str
    kind: str
    state: str
    at: str
    speaker: str | None
    session: str | None
    strength: float
    pinned: bool


class FadingShape(BaseModel):
    """Cubes that would be archived, cubes that would be erased, and the next weakest, weakest first."""

    law: str
    policy: PolicyShape
    archive: list[Brief]
    erase: list[Brief]
    next: list[Brief]
    counts: dict[str, int]
    recalls_given_up: float  # share of coming recalls that would ask for what is archived


class Point(BaseModel):
    """The strength of a memory at a time."""

    at: str
    strength: float


class CurveShape(BaseModel):
    """The strength of a memory from now on, and the floor below which it is archived."""

    law: str
    now: float
    floor: float | None
    points: list[Point]
    recalls: list[str]


class VocabularyShape(BaseModel):
    """Names of this version: laws of forgetting, kinds of links, and signals with what they measure."""

    laws: list[str]
    links: list[str]
    signals: dict[str, str]
