"""The shapes of what the page asks for and of what it gets, beside those of `models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, FiniteFloat

from mnemos.serve.models import Query, Strict, Whole, filtered


@filtered
class Timeline(Query):
    """Which cubes, by when they happened, and how wide the buckets are; `where` is a JSON object."""

    by: Literal["day", "week", "month", "year", "century", "auto"] = "auto"


class Graph(Strict):
    """Where a graph starts, and how far it goes."""

    around: str | None = None
    depth: int = Field(1, ge=1, le=3)
    limit: int = Field(60, ge=1, le=200)
    kind: str | None = None


class Pin(Strict):
    """Whether the cube is pinned."""

    on: bool


class Archive(Strict):
    """Cubes to take out of search, or with `back` to bring into it again."""

    ids: list[str] = Field(max_length=10_000)
    back: bool = False


class Fade(Strict):
    """Whether to say only what would be let go of."""

    preview: bool = True


Limit = Annotated[FiniteFloat, Field(ge=0)] | None
Count = Annotated[Whole, Field(ge=0, lt=2**53)] | None


class PolicyShape(Strict):
    """The policy of a space: its law with the constants that are not the usual ones, and its limits."""

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
    """How many cubes happened from `start` to the start of the next bucket."""

    start: str
    n: int


class TimelineShape(BaseModel):
    """A timeline: buckets without a gap, from the first cube to the last."""

    by: Literal["day", "week", "month", "year", "century"]
    first: str | None
    last: str | None
    buckets: list[Bucket]


class Node(BaseModel):
    """A cube in a graph: the beginning of its text, and what the law of the space says that it is worth now."""

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
    """A graph: both ends of every edge are among the nodes."""

    nodes: list[Node]
    edges: list[Edge]


class Brief(BaseModel):
    """A cube in a list: the beginning of its text, and what the law of the space says that it is worth now."""

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
    """What would be archived, what would be erased, and what is the weakest of the rest, the weakest first."""

    law: str
    policy: PolicyShape
    archive: list[Brief]
    erase: list[Brief]
    next: list[Brief]
    counts: dict[str, int]


class Point(BaseModel):
    """What a memory is worth at a moment."""

    at: str
    strength: float


class CurveShape(BaseModel):
    """How a memory fades from now on, and below what it is archived."""

    law: str
    now: float
    floor: float | None
    points: list[Point]
    recalls: list[str]
