"""MCP tools for an agent at work: the state of a task, and cases with their outcomes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from mnemos.errors import InvalidInput
from mnemos.space import Space

TOKENS = 800  # of a block
Result = dict[str, Any]
Do = Literal["show", "add", "set", "start", "done", "confirm", "drop", "revert"]

TaskName = Annotated[str, Field(description="The name of the task; the same name continues it.")]
DoIt = Annotated[Do, Field(description="What to do with the step; 'show' changes nothing.")]
Step = Annotated[str | None, Field(description="The name of the step.")]
Intent = Annotated[str | None, Field(description="With add or set: what the step is for.")]
Parent = Annotated[str | None, Field(description="With add: the step that it is a part of.")]
Needs = Annotated[list[str] | None, Field(description="With add or set: steps whose values it is based on.")]
Values = Annotated[dict[str, Any] | None, Field(description="With add, set or done: values by name; null removes one.")]
ReadIn = Annotated[
    str | None, Field(description="Where the values were read, if not from the user: a URL, 'tool:...'.")
]
Situation = Annotated[str, Field(description="What has to be done now, or had to be done, with what matters about it.")]
Plan = Annotated[str | None, Field(description="To store a case: what was done.")]
Reward = Annotated[float | None, Field(ge=0, le=1, description="What came of it: 0 failed, 1 succeeded.")]
Used = Annotated[list[str] | None, Field(description="To note an outcome: ids of the cases that were followed.")]
Agent = Annotated[str | None, Field(description="Your name, where several agents write.")]
InSpace = Annotated[str | None, Field(description="A space other than the default one, if the server allows it.")]


class Opener(Protocol):
    """Opens the space of one call, with the rights of its key."""

    def __call__(self, name: str | None, *rights: str, create: bool = False) -> AbstractContextManager[Space]:
        """Yield the space; turn errors of Mnemos into errors of the protocol."""


class AgentTools:
    """The tools `task` and `cases`."""

    def __init__(self, use: Opener, note: str) -> None:
        self._use, self._note = use, note

    def task(
        self, task: TaskName, do: DoIt = "show", step: Step = None, intent: Intent = None, parent: Parent = None,
        needs: Needs = None, values: Values = None, source: ReadIn = None, agent: Agent = None, space: InSpace = None,
    ) -> Result:  # fmt: skip
        """Keep the state of a long task as steps with values, and read it back: it outlives the conversation.

        A changed value makes the steps that depend on it stale: check them again, then set, done or confirm. Returns the
        way from the root to the step with what it needs, and the steps that are stale and that are ready.
        """
        with self._use(space, *(() if do == "show" else ("write",)), create=do != "show") as opened:
            state = opened.task(task, agent=agent or None)
            if do != "show" and not step:
                raise InvalidInput(f"{do} needs a step. Nothing was done.")
            name, given = step or "", values or {}
            if do == "add":
                state.add(name, intent or "", given, parent=parent or (), needs=needs or (), source=source or None)
            elif do == "set":
                state.set(name, given, intent=intent or None, needs=needs, source=source or None)
            elif do == "done":
                state.done(name, given)
            elif do == "revert":
                state.revert(name)
            elif do != "show":
                {"start": state.start, "confirm": state.confirm, "drop": state.drop}[do](name)
            block = state.prompt(step or None, tokens=TOKENS)
            return {"note": self._note, "state": block, "stale": state.stale(), "ready": state.ready()}

    def cases(
        self, situation: Situation, plan: Plan = None, reward: Reward = None, used: Used = None, agent: Agent = None,
        space: InSpace = None,
    ) -> Result:  # fmt: skip
        """Recall what was done in situations like this one and what came of it, the most helpful first.

        With `plan` (and `reward`) store a case; with `used` and `reward` note what came of following cases: that is how they
        are learned to help.
        """
        with self._use(space, *(("write",) if plan or used else ()), create=bool(plan or used)) as opened:
            bank = opened.cases(agent=agent or None)
            if used:
                if reward is None:
                    raise InvalidInput("an outcome needs a reward from 0 to 1. Nothing was stored.")
                bank.outcome(situation, used, reward)
            if plan:
                return {"id": bank.add(situation, plan, reward=reward).id}
            if used:
                return {"noted": list(used)}
            found = bank.find(situation)
            chances = {case.id: round(case.chance, 2) for case in found}
            return {"note": self._note, "cases": bank.block(found, tokens=TOKENS), "chances": chances}
