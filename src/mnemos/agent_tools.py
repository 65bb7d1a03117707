"""Tools for an agent at work, as a model calls them: one table for MCP and for the adapters of frameworks. Needs pydantic.

Each tool is a method of `AgentTools`: its signature is the schema that the model sees, its docstring the description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from mnemos.errors import InvalidInput

TOKENS = 800  # of a block
ROLE = "assistant"  # of what an agent writes by itself: it ends nothing that the user said
Result = dict[str, Any]

DoTask = Annotated[
    Literal["show", "add", "set", "start", "done", "confirm", "drop", "revert"],
    Field(description="What to do with the step; 'show' changes nothing."),
]
DoContext = Annotated[
    Literal["show", "list", "add", "fold", "drop", "bring", "pin"],
    Field(description="'show' returns the context, 'list' its items with ids; the others change it."),
]
DoBeliefs = Annotated[Literal["show", "learn"], Field(description="'learn' needs the decisions of a whole episode.")]
TaskName = Annotated[str, Field(description="The name of the task; the same name continues it.")]
Step = Annotated[str | None, Field(description="The name of the step.")]
Intent = Annotated[str | None, Field(description="With add or set: what the step is for.")]
Parent = Annotated[str | None, Field(description="With add: the step that it is a part of.")]
Needs = Annotated[list[str] | None, Field(description="With add or set: steps whose values it is based on.")]
Values = Annotated[dict[str, Any] | None, Field(description="With add, set or done: values by name; null removes one.")]
ReadIn = Annotated[str | None, Field(description="Where it was read, if not from the user: a URL, 'tool:...'.")]
Situation = Annotated[str, Field(description="What has to be done now, or had to be done, with what matters about it.")]
Plan = Annotated[str | None, Field(description="To store a case: what was done.")]
Reward = Annotated[float | None, Field(ge=0, le=1, description="What came of it: 0 failed, 1 succeeded.")]
Used = Annotated[list[str] | None, Field(description="To note an outcome: ids of the cases that were followed.")]
ContextName = Annotated[str, Field(description="The name of the context, such as the session's.")]
StepText = Annotated[str | None, Field(description="With add: the step. With fold: the note that replaces items.")]
StepRole = Annotated[str | None, Field(description="With add: whose words it is: assistant, tool or user.")]
Pin = Annotated[bool, Field(description="With add: keep it in view, such as what the task is.")]
Ids = Annotated[list[str] | None, Field(description="With drop, bring, pin and fold: ids of items or records.")]
Question = Annotated[str | None, Field(description="With show: what is wanted now; default: the last step.")]
Budget = Annotated[int, Field(ge=200, le=100_000, description="The most tokens that the context may have.")]
Team = Annotated[str, Field(description="The name of the team of agents, or of the job.")]
Sources = Annotated[list[str] | None, Field(description="With show: only beliefs about these sources.")]
Statement = Annotated[str, Field(description="One self-contained statement, with names instead of 'he' or 'it'.")]
Speaker = Annotated[str | None, Field(description="Who said it; 'I' in the text is this person.")]
Asked = Annotated[str, Field(description="What you want to know, in plain words.")]


class Decided(BaseModel):
    """One decision of an episode."""

    model_config = ConfigDict(extra="forbid")
    source: Annotated[str, Field(description="A feed, a tool, a colleague.")]
    cue: Annotated[str, Field(description="What it said.")]
    action: Annotated[str, Field(description="What was done then.")]
    reward: Annotated[float, Field(allow_inf_nan=False, description="What came of it; the higher the better.")]


Decisions = Annotated[list[Decided] | None, Field(description="With learn: the decisions of one episode.")]


class AgentSpace(Protocol):
    """The verbs of a space that the tools call. A space of `mnemos.serve.client` has them too."""

    @property
    def add(self) -> Callable[..., Any]:
        """Store one message."""

    @property
    def context(self) -> Callable[..., Any]:
        """Return a block for a prompt."""

    @property
    def task(self) -> Callable[..., Any]:
        """Return the state of a task."""

    @property
    def cases(self) -> Callable[..., Any]:
        """Return a bank of cases."""

    @property
    def working(self) -> Callable[..., Any]:
        """Return a working context."""

    @property
    def beliefs(self) -> Callable[..., Any]:
        """Return the beliefs of a team."""


def writes(tool: str, arguments: Mapping[str, Any]) -> bool:
    """Tell whether a call changes the space, so that it needs the right to write."""
    if tool == "cases":
        return bool(arguments.get("plan") or arguments.get("used"))
    if tool == "working":
        return bool(arguments.get("do", "show") != "list")  # what is shown is folded first
    return tool == "remember" or (tool != "recall" and bool(arguments.get("do", "show") != "show"))


class AgentTools:
    """The tools over one space; `agent` is the name of who calls them, where several agents write."""

    def __init__(self, space: AgentSpace, agent: str | None = None) -> None:
        self._space, self._agent = space, agent or None

    def remember(self, text: Statement, speaker: Speaker = None, source: ReadIn = None) -> Result:
        """Store one statement that will matter later. It lasts across conversations; give `source` for what you read."""
        return {"id": self._space.add(text, speaker=speaker or self._agent, source=source or None, role=ROLE).id}

    def recall(self, question: Asked) -> Result:
        """Return the records that help to answer a question, with dates and ids to cite. Call it before you answer about
        people, plans, preferences or the past."""
        return {"records": self._space.context(question, tokens=TOKENS)}

    def task(
        self, task: TaskName, do: DoTask = "show", step: Step = None, intent: Intent = None, parent: Parent = None,
        needs: Needs = None, values: Values = None, source: ReadIn = None,
    ) -> Result:  # fmt: skip
        """Keep the state of a long task as steps with values, and read it back: it outlives the conversation.

        A changed value makes the steps that depend on it stale: check them again, then set, done or confirm. Returns the
        way from the root to the step with what it needs, and the steps that are stale and that are ready.
        """
        state = self._space.task(task, agent=self._agent)
        if do != "show" and not step:
            raise InvalidInput(f"{do} needs a step. Nothing was done.")
        name, given = step or "", values or {}
        if do == "add":
            state.add(name, intent or "", given, parent=parent or (), needs=needs or (), source=source or None)
        elif do == "set":
            state.set(name, given, intent=intent or None, needs=needs, source=source or None)
        elif do == "done":
            state.done(name, given)
        elif do != "show":
            {"start": state.start, "confirm": state.confirm, "drop": state.drop, "revert": state.revert}[do](name)
        return {"state": state.prompt(step or None, tokens=TOKENS), "stale": state.stale(), "ready": state.ready()}

    def cases(self, situation: Situation, plan: Plan = None, reward: Reward = None, used: Used = None) -> Result:
        """Recall what was done in situations like this one and what came of it, the most helpful first.

        With `plan` (and `reward`) store a case; with `used` and `reward` note what came of following cases: that is how they
        are learned to help.
        """
        bank = self._space.cases(agent=self._agent)
        if used:
            if reward is None:
                raise InvalidInput("an outcome needs a reward from 0 to 1. Nothing was stored.")
            bank.outcome(situation, used, reward)
        if plan:
            return {"id": bank.add(situation, plan, reward=reward).id}
        return {"noted": list(used)} if used else {"cases": bank.prompt(situation, tokens=TOKENS)}

    def working(
        self, name: ContextName, do: DoContext = "show", text: StepText = None, role: StepRole = None,
        source: ReadIn = None, pin: Pin = False, ids: Ids = None, question: Question = None, tokens: Budget = 2_000,
    ) -> Result:  # fmt: skip
        """Keep the context of a long task within a budget: older steps are folded into notes, and what answers the question is
        fetched back. Nothing is lost: what leaves the context stays in the memory.
        """
        context = self._space.working(name, tokens=tokens, agent=self._agent)
        if do == "list":
            found = context.items()
            return {"items": [{"id": i.id, "note": i.note, "pinned": i.pinned, "tokens": i.tokens} for i in found]}
        if do in ("add", "fold") and not text:
            raise InvalidInput(f"{do} needs a text. Nothing was done.")
        if do in ("drop", "bring", "pin") and not ids:
            raise InvalidInput(f"{do} needs ids. Nothing was done.")
        if do == "add":
            context.add(text, role=role or ROLE, source=source or None, pin=pin)
        elif do == "fold":
            context.fold(text, ids or None)
        elif do != "show":
            {"drop": context.drop, "bring": context.bring, "pin": context.pin}[do](ids)
        return {"context": context.prompt(question or None)}

    def beliefs(
        self,
        team: Team,
        do: DoBeliefs = "show",
        decisions: Decisions = None,
        sources: Sources = None,
        source: ReadIn = None,
    ) -> Result:
        """Learn from episodes what works in which situation, and read it back, the surest first.

        After an episode, learn from its decisions: they are compared with those of the episode before, and what the better
        one did becomes a belief.
        """
        from mnemos.text.agent.critic import Decision

        found = self._space.beliefs(team, agent=self._agent, sources=sources or ())
        if do == "learn":
            found.learn([Decision(**row.model_dump()) for row in decisions or ()], source=source or None)
        return {"beliefs": found.prompt(tokens=TOKENS)}


def as_text(result: Result) -> str:
    """Return a result as a model reads it best: blocks as they are, the rest as a line each."""
    lines = [
        value if isinstance(value, str) and "\n" in value else f"{name}: {', '.join(map(str, value)) or 'none'}"
        if isinstance(value, list) else f"{name}: {value or 'none'}"
        for name, value in result.items()
    ]  # fmt: skip
    return "\n".join(lines)
