"""What a `Space` keeps for agents at work: the state of a task, a context within a budget, cases and beliefs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mnemos.text.memory import TextMemory

if TYPE_CHECKING:
    from mnemos.text.agent.bank import Bank
    from mnemos.text.agent.beliefs import Beliefs
    from mnemos.text.agent.cases import Cases
    from mnemos.text.agent.episodes import Episodes
    from mnemos.text.agent.learned import Pool
    from mnemos.text.agent.task import Task
    from mnemos.text.agent.working import Working
    from mnemos.text.compress.base import ContextPolicy, Merge


class AgentVerbs:
    """The verbs for a long task. What they keep is stored, erased, exported and backed up like everything in the space."""

    text: TextMemory
    _banks: Pool[Bank] | None = None
    _episodes: Pool[Episodes] | None = None

    def task(self, name: str, *, agent: str | None = None) -> Task:
        """Return the state of a task: steps with values, dependencies and a history; see `text.agent.task`.

        `agent` is who writes, where several do.
        """
        from mnemos.text.agent.task import Task

        return Task(self.text, name, agent)

    def tasks(self) -> list[str]:
        """Return the names of the tasks in the space, in the order in which they were begun. O(steps)."""
        from mnemos.text.agent.task import names

        return names(self.text)

    def working(
        self, name: str, *, tokens: int = 2_000, policy: str | ContextPolicy = "short-and-long-term",
        agent: str | None = None, merge: Merge | None = None, count: Callable[[str], int] | None = None,
    ) -> Working:  # fmt: skip
        """Return the context of a long task, or of a session, that stays within `tokens`; see `text.agent.working`.

        `policy` says what stays and what is folded, by name or as an object (`mnemos methods` lists context policies);
        `merge` writes the state instead of rules (an LLM: the state, new texts, the most tokens); `count` counts tokens.
        """
        from mnemos.text.agent.working import Working

        return Working(self.text, name, tokens, policy, agent, merge, count)

    def cases(self, name: str = "cases", *, agent: str | None = None) -> Cases:
        """Return a bank of cases with their outcomes, which learns what helps in which situation; see `text.agent.cases`."""
        from mnemos.text.agent.cases import Cases

        return Cases(self.text, self._learned_cases(), name, agent)

    def _learned_cases(self) -> Pool[Bank]:
        if self._banks is None:
            from mnemos.text.agent.bank import Bank
            from mnemos.text.agent.learned import Pool

            self._banks = Pool(self.text, Bank)
        return self._banks

    def beliefs(self, name: str, *, agent: str | None = None, sources: Sequence[str] = ()) -> Beliefs:
        """Return what a team of agents learned from comparing its episodes; see `text.agent.beliefs`.

        `sources` are those that this agent is concerned with; without them it is told all beliefs.
        """
        from mnemos.text.agent.beliefs import Beliefs

        if self._episodes is None:
            from mnemos.text.agent.episodes import Episodes
            from mnemos.text.agent.learned import Pool

            self._episodes = Pool(self.text, Episodes)
        return Beliefs(self.text, self._episodes, name, agent, sources)
