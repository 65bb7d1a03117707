"""Bodies of the routes for agents at work: tasks, cases, working contexts, beliefs and cached answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from mnemos.serve.models import Moment, Object, Strict, Whole

Agent = Annotated[str | None, Field(description="Who writes, where several agents do.")]
Share = Annotated[float, Field(ge=0, le=1, description="From 0, it failed, to 1, it succeeded.")]
Tokens = Annotated[Whole, Field(ge=0, le=10_000_000, description="The most tokens that the block may have.")]
Ids = Annotated[list[str], Field(max_length=10_000)]
MadeOf = Annotated[
    list[str], Field(max_length=10_000, description="Ids of cubes that it was made of: erased with each.")
]
Source = Annotated[str | None, Field(description="Where it was read, if not from the user: a URL, 'tool:...'.")]
Scope = Annotated[
    str, Field(description="Answers of one scope are not served in another, such as those of two models.")
]
Find = Annotated[Whole, Field(ge=1, le=1_000)]

STEP: Mapping[str, frozenset[str]] = {  # by `do`: the fields that a change of a step takes beside `do`, `step` and `agent`
    "add": frozenset({"intent", "slots", "parent", "needs", "source", "of"}),
    "set": frozenset({"intent", "slots", "needs", "source", "of"}),
    "done": frozenset({"slots"}), "revert": frozenset({"version"}), "rewind": frozenset({"change"}),
    "start": frozenset(), "confirm": frozenset(), "drop": frozenset(),
}  # fmt: skip
CONTEXT: Mapping[str, frozenset[str]] = {  # the same of a working context, beside `do`, `tokens`, `policy` and `agent`
    "add": frozenset(
        {"text", "pin", "reconcile", "speaker", "role", "source", "at", "timezone", "kind", "id", "metadata"}
    ),
    "fold": frozenset({"note", "ids"}),
    "pin": frozenset({"ids"}), "drop": frozenset({"ids"}), "bring": frozenset({"ids"}),
}  # fmt: skip
CONTEXT_NEEDS = {"add": "text", "pin": "ids", "drop": "ids", "bring": "ids", "fold": "note"}


class TaskChange(Strict):
    """What to do with a step of a task; what is not for that is refused."""

    do: Literal["add", "set", "start", "done", "confirm", "drop", "revert", "rewind"]
    step: str | None = Field(None, description="The name of the step; `rewind` takes none.")
    intent: str | None = Field(None, description="What the step is for.")
    slots: Object | None = Field(None, description="Values by name; null removes one.")
    parent: str | Ids | None = Field(None, description="The step that it is a part of, or several.")
    needs: Ids | None = Field(None, description="Steps whose values it is based on.")
    source: Source = None
    of: MadeOf | None = None
    version: Whole | None = Field(
        None, ge=1, lt=2**62, description="With revert: which version; default: the last other."
    )
    change: Whole | None = Field(None, ge=0, lt=2**62, description="With rewind: the change to go back to.")
    agent: Agent = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needed = "change" if self.do == "rewind" else "step"
        _check(self, self.do, STEP[self.do] | {needed}, needed)
        return self


class Case(Strict):
    """What was done in a situation, and what came of it; with a name it is a concept, which gets a new version."""

    situation: str = Field(min_length=1)
    plan: str = Field(min_length=1)
    reward: Share | None = None
    name: str | None = None
    parameters: dict[str, str] | None = None
    source: Source = None
    of: MadeOf = Field(default_factory=list)
    agent: Agent = None


class Outcome(Strict):
    """What came of following cases in a situation."""

    situation: str = Field(min_length=1)
    cases: list[str] = Field(min_length=1, max_length=1_000, description="Ids of the cases that were followed.")
    reward: Share
    agent: Agent = None


class FindCases(Strict):
    """A situation for which cases are sought."""

    situation: str = Field(min_length=1)
    k: Find = 4
    how: Literal["learned", "nearest"] = "learned"
    concepts: bool | None = Field(None, description="Concepts only, or none.")


class CasesPrompt(Strict):
    """A situation for which cases are packed into a block."""

    situation: str = Field(min_length=1)
    k: Find = 4
    tokens: Tokens = 800


class Example(Strict):
    """A text, or a cube by its id, and its label."""

    text: str | None = Field(None, min_length=1)
    cube: str | None = Field(None, min_length=1)
    label: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Example:
        if (self.text is None) == (self.cube is None):
            raise ValueError("give a text, or the id of a cube.")
        return self


class Examples(Strict):
    """What a classifier is to learn, all or none."""

    examples: list[Example] = Field(min_length=1, max_length=1_000)


class Predict(Strict):
    """Texts whose labels are sought."""

    texts: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1, max_length=1_000)
    k: Find = 3
    least: float = Field(0.0, description="The lowest score of a label that is returned.")


class Window(Strict):
    """The budget of a working context, and the policy that folds it."""

    tokens: Whole = Field(2_000, ge=1, le=10_000_000, description="What a prompt of the context may have.")
    policy: str = Field("short-and-long-term", description="A context policy; `mnemos methods` lists them.")
    agent: Agent = None


class ContextChange(Window):
    """What to do with a working context; what is not for that is refused."""

    do: Literal["add", "pin", "fold", "drop", "bring"]
    text: str | None = Field(None, description="With add: the step.")
    pin: bool = Field(False, description="With add: keep it in every prompt.")
    reconcile: bool = True
    speaker: str | None = None
    role: str | None = None
    source: Source = None
    at: Moment = None
    timezone: str | None = None
    kind: str | None = None
    id: str | None = None
    metadata: Object | None = None
    note: str | None = Field(None, description="With fold: what replaces the items.")
    ids: Ids | None = Field(None, description="With fold, pin, drop and bring: which items or memories.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(self, self.do, CONTEXT[self.do] | {"tokens", "policy"}, CONTEXT_NEEDS[self.do])
        return self


class ContextPrompt(Window):
    """A question that is asked of a working context."""

    question: str | None = Field(None, description="Default: the last step.")
    fetch: Whole | None = Field(None, ge=0, le=1_000, description="How many memories of the space to fetch back.")


class Decision(Strict):
    """A decision of an episode: what a source said, what was done then, and what came of it."""

    source: str
    cue: str
    action: str
    reward: FiniteFloat


class Episode(Strict):
    """The decisions of one episode."""

    decisions: list[Decision] = Field(min_length=1, max_length=100_000)
    source: Source = None
    of: MadeOf = Field(default_factory=list)
    agent: Agent = None


class BeliefsPrompt(Strict):
    """The sources that an agent is concerned with (default: all), and the budget of the block."""

    sources: Ids = Field(default_factory=list)
    tokens: Tokens = 600


class PutAnswer(Strict):
    """An answer to keep, and the ids of the memories that it was made of."""

    question: str = Field(min_length=1)
    answer: str
    used: Ids
    category: str = "default"
    scope: Scope = ""


class FindAnswer(Strict):
    """A question that may have been answered before."""

    question: str = Field(min_length=1)
    category: str = "default"
    shown: Ids | None = Field(
        None, description="Ids of what a prompt would show now: an answer without one is not served."
    )
    scope: Scope = ""
    load: float = Field(0.0, ge=0, le=1, description="Of the model behind: a busy one makes the rules less strict.")


class Rules(Strict):
    """The rules of a category of answers."""

    threshold: float = Field(0.95, ge=0, le=1)
    days: FiniteFloat = Field(7.0, gt=0)
    most: Whole = Field(1_000, ge=1, le=2**31)
    on: bool = True


class Categories(Strict):
    """The rules of all categories."""

    categories: dict[str, Rules]


def _check(body: Strict, do: str, takes: frozenset[str], needed: str) -> None:
    """Raise ValueError for a field that does not belong to what is to be done, and for one that is missing."""
    given = {name for name in body.model_fields_set if getattr(body, name) is not None}
    if unknown := sorted(given - takes - {"do", "agent"}):
        raise ValueError(f"{do} takes no {unknown[0]}, only {', '.join(sorted(takes))}")
    if getattr(body, needed) is None:
        raise ValueError(f"{do} needs {needed}")
