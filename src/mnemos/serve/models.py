"""Requests and responses of the REST API, for validation and OpenAPI."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self, TypeVar, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)

from mnemos.errors import InvalidInput
from mnemos.text.recall.filters import Filters, Metadata, Time
from mnemos.text.recall.snapshot import SearchMethod

# Space validates these itself, with its own messages; here they only document the type
Text = Annotated[Any, WithJsonSchema({"type": ["string", "null"]})]
Content = Annotated[
    Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": ["string", "object"]}}]})
]
Moment = str | float | None
Whole = Annotated[int, Field(strict=True)]
Share = Annotated[float, Field(ge=0, le=1, description="The least probability, of a hit, that it answers.")]
Object = dict[str, Any]
M = TypeVar("M", bound=BaseModel)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Strict(BaseModel):
    """A body without unknown fields, and without text that cannot be encoded."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _encodable(self) -> Self:
        for value in self.__dict__.values():
            for text in value if isinstance(value, list) else (value,):
                if isinstance(text, str) and _SURROGATE.search(text):
                    raise ValueError("a text contains a lone surrogate, which cannot be stored. Use valid Unicode")
        return self

    def given(self, *without: str) -> Object:
        """Return the fields that were given, without those named."""
        return {k: v for k, v in self.model_dump(exclude_unset=True).items() if v is not None and k not in without}


class Query(Strict):
    """A query string."""

    def given(self, *without: str) -> Object:
        """Return the fields that were given, with `where` parsed. Raises InvalidInput if that is not a JSON object."""
        found = super().given(*without)
        if "where" in found:
            try:
                found["where"] = json.loads(found["where"])
            except (ValueError, RecursionError) as error:
                raise InvalidInput(f"where: not a JSON object ({error}).") from error
        return found


class Message(BaseModel):
    """One memory to add; unknown fields become metadata."""

    model_config = ConfigDict(extra="allow")
    content: Content = None
    speaker: Text = None
    session: Text = None
    at: Annotated[Any, WithJsonSchema({"type": ["string", "number", "null"]})] = None
    timezone: Text = None
    metadata: Annotated[Any, WithJsonSchema({"type": ["object", "null"]})] = None
    source: Text = None
    role: Text = None
    kind: Text = None
    id: Text = None


class Messages(Strict):
    """Many memories to add, all or none; `reconcile=false` only appends."""

    messages: list[Message]
    reconcile: bool = True


def _one_or_many(body: Any) -> str:
    return "many" if isinstance(body, Messages) or (isinstance(body, dict) and "messages" in body) else "one"


Add = Annotated[Annotated[Message, Tag("one")] | Annotated[Messages, Tag("many")], Discriminator(_one_or_many)]


def filtered(model: type[M]) -> type[M]:
    """Return a model with the fields of `mnemos.Filters` added. In a query string `where` is a string of JSON."""
    written = {Time: Moment, Metadata: str | None if issubclass(model, Query) else Object | None}
    fields: Any = {name: (written.get(hint, hint), None) for name, hint in get_type_hints(Filters).items()}
    made: type[M] = create_model(model.__name__, __base__=model, __doc__=model.__doc__, __module__=__name__, **fields)
    return made


class Question(Strict):
    """The time of a question, and the number of results."""

    asked_at: Moment = None
    k: Whole | None = Field(None, ge=1, le=1_000)


@filtered
class Search(Question):
    """A search."""

    query: str
    min_score: Share | None = None
    method: SearchMethod = "hybrid"


@filtered
class Context(Question):
    """A request for a block for a prompt."""

    question: str
    k: Whole = Field(40, ge=1, le=1_000)
    tokens: Whole = Field(800, ge=0, le=10_000_000)
    min_score: Share | None = None
    quarantine: bool = True
    shown: str = ""
    most: Whole | None = Field(None, ge=0, le=10_000_000)


@filtered
class Forget(Strict):
    """What to forget; `preview=false` erases it."""

    ids: list[str] = []
    query: str | None = None
    everything: StrictBool = False  # "yes" or 1 is no order to erase a space
    preview: StrictBool = True


@filtered
class Listing(Query):
    """A page of a list, and filters, as a query string; `where` is a JSON object."""

    limit: int = Field(100, ge=1, le=1_000)
    cursor: int | None = Field(None, ge=0, lt=2**62)
    newest: bool = False


class Facts(Strict):
    """Which facts to list."""

    subject: str | None = None
    attribute: str | None = None
    as_of: Moment = None
    true_at: Moment = None
    include_ended: bool = False
    timezone: str | None = None
    min_confidence: float = 1.0


class Zone(Strict):
    """The time zone of a space: an IANA name, an offset such as "+05:30", or "UTC"."""

    timezone: str


class Quarantined(Strict):
    """A question, and the ids of the cubes to judge."""

    question: str = Field(min_length=1)
    ids: list[str] | None = Field(None, max_length=10_000)


class Used(Strict):
    """A question, and the ids of the cubes that answered it."""

    question: str = Field(min_length=1)
    ids: list[str] = Field(min_length=1, max_length=10_000)


class ReceiptShape(Strict):
    """The receipt of an erasure."""

    space: str
    at: str
    chosen_by: str
    ids: list[str]
    derived: Whole
    versions: Whole
    searched_for: Whole
    searched_bytes: Whole
    remains: list[str]
    verified: bool = True  # follows from `remains`


class Rollback(Strict):
    """The version to write again."""

    version: Whole


class Consolidate(Strict):
    """The number of cubes that one run writes at most."""

    limit: Whole = Field(2_000, ge=1, le=1_000_000)


class Cube(Strict):
    """A cube, as `MemCube.to_dict` writes it."""

    id: str
    text: str
    space: str
    at: str
    learned: str
    form: Literal["text", "activation", "parametric"] = "text"
    kind: str = "turn"
    state: Literal["active", "superseded", "archived"] = "active"
    version: Whole = 1
    session: str | None = None
    speaker: str | None = None
    role: str | None = None
    source: str | None = None
    parents: list[str] = []
    replaced: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    strength: float = 1.0
    recalls: Whole = 0
    recalled_at: str | None = None
    pinned: bool = False
    layer: Whole = 0
    timezone: str | None = None
    metadata: Object = {}


class Cubes(BaseModel):
    """Cubes, in order."""

    cubes: list[Cube]


class Page(BaseModel):
    """A page of a list; pass `next_cursor` as `cursor` to get the next one."""

    items: list[Cube]
    next_cursor: int | None


class Hit(BaseModel):
    """A result of a search; the values of `why` sum to `score`."""

    cube: Cube
    score: float
    relevance: float | None = Field(description="The probability that it answers the question.")
    why: dict[str, float]
    also: list[Cube] = Field(description="The same words by the same speaker at other times, oldest first.")
    earlier: list[Cube] = Field(description="Matching cubes that this one supersedes, oldest first.")


class Hits(BaseModel):
    """Results, best first, and whether any of them seems to answer."""

    hits: list[Hit]
    confidence: float = Field(description="The probability that one of the hits answers.")
    answerable: bool = Field(description="Whether one of the hits seems to answer.")


class ProblemShape(BaseModel):
    """An error as in RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
