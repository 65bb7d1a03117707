"""What agents keep in a served space, with the methods of the objects that an embedded space returns.

Of a blocking space each method returns its result, of an asynchronous one a coroutine, properties too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from mnemos.arguments import check_texts
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput
from mnemos.serve.requests import ApiRequest, given, path_segment, query_string
from mnemos.text.agent.bank import Case
from mnemos.text.agent.beliefs import Belief
from mnemos.text.agent.cases import How
from mnemos.text.agent.critic import Decision
from mnemos.text.agent.nodes import Node, active_of, change_of, dependants, node_of, ready_of, stale_of, values_of
from mnemos.text.agent.task import check_slots
from mnemos.text.answers import DEFAULT, Answer
from mnemos.text.compress.base import Item
from mnemos.text.recall.semantic_cache import Category

T = TypeVar("T")
CarryOut = Callable[[Callable[[], ApiRequest[Any]]], Any]  # sends a request; returns its result or a coroutine
Read = Callable[[Any], Any]


class Kept:
    """Something that a served space keeps under a name."""

    def __init__(self, path: str, carry_out: CarryOut) -> None:
        self._path, self._carry_out = path, carry_out

    def _get(self, route: str, read: Read, /, **query: Any) -> Any:
        return self._carry_out(lambda: ApiRequest("GET", self._path + route, read, query=query_string(query)))

    def _post(self, route: str, read: Read, /, **body: Any) -> Any:
        return self._carry_out(lambda: ApiRequest("POST", self._path + route, read, given(body)))


class RemoteTask(Kept):
    """The state of a task; see `mnemos.text.agent.task.Task`."""

    def __init__(self, path: str, carry_out: CarryOut, name: str, agent: str | None) -> None:
        super().__init__(f"{path}/tasks/{path_segment(name)}", carry_out)
        self.name, self.agent = name, agent

    def nodes(self) -> Any:
        """Return the steps by name, in the order in which they were added."""
        return self._of(lambda nodes: nodes)

    def get(self, name: str) -> Any:
        """Return a step. Raises NotFound."""
        return self._of(lambda nodes: node_of(nodes, self.name, name))

    def state(self) -> Any:
        """Return the values of every step that was not dropped, by step and slot."""
        return self._of(values_of)

    def history(self, name: str) -> Any:
        """Return all versions of a step, oldest first. Raises NotFound."""
        return self._get("/history", lambda data: [_node(cube) for cube in data["steps"]], step=name)

    def dependants(self, name: str) -> Any:
        """Return the steps that depend on a step. Raises NotFound."""
        return self._of(lambda nodes: dependants(nodes, node_of(nodes, self.name, name).name))

    def stale(self) -> Any:
        """Return the steps to check again."""
        return self._of(stale_of)

    def ready(self) -> Any:
        """Return the open steps that can be worked on."""
        return self._of(ready_of)

    @property
    def change(self) -> Any:
        """The number of the last change, 0 before the first."""
        return self._of(change_of)

    def active(self) -> Any:
        """Return the step that was started last, by this agent if it has a name; None when none is."""
        return self._of(lambda nodes: active_of(nodes, self.agent))

    def add(
        self, name: str, intent: str = "", slots: Mapping[str, Any] | None = None, *, parent: str | Sequence[str] = (),
        needs: Sequence[str] = (), source: str | None = None, of: Sequence[str] = (), **values: Any,
    ) -> Any:  # fmt: skip
        """Add a step and return it. Raises InvalidInput for a circle or an unknown step, and Conflict."""
        parents = parent if isinstance(parent, str) else list(check_texts(parent, "parent"))
        return self._change(
            "add", name, intent=intent, slots=check_slots(slots, values), parent=parents, needs=check_texts(needs, "needs"),
            source=source, of=check_texts(of, "of"),
        )  # fmt: skip

    def set(
        self, name: str, slots: Mapping[str, Any] | None = None, *, intent: str | None = None,
        needs: Sequence[str] | None = None, source: str | None = None, of: Sequence[str] = (), **values: Any,
    ) -> Any:  # fmt: skip
        """Set values of a step and return it; None removes one. What depends on it becomes stale. Raises NotFound."""
        based_on = None if needs is None else check_texts(needs, "needs")
        return self._change(
            "set", name, slots=check_slots(slots, values), intent=intent, needs=based_on, source=source,
            of=check_texts(of, "of"),
        )  # fmt: skip

    def start(self, name: str) -> Any:
        """Note that a step is being worked on. Raises NotFound."""
        return self._change("start", name)

    def done(self, name: str, slots: Mapping[str, Any] | None = None, **values: Any) -> Any:
        """Note that a step is done, and set values of it. Raises NotFound."""
        return self._change("done", name, slots=check_slots(slots, values))

    def confirm(self, name: str) -> Any:
        """Note that a stale step was checked and holds as it is. Raises NotFound."""
        return self._change("confirm", name)

    def drop(self, name: str) -> Any:
        """Take a step and its parts out of the task. Raises NotFound."""
        return self._change("drop", name)

    def revert(self, name: str, version: int | None = None) -> Any:
        """Give a step the values and the intent of an earlier version. Raises NotFound."""
        return self._change("revert", name, version=version)

    def rewind(self, change: int) -> Any:
        """Bring the whole task to how it was after a change."""
        return self._post("", lambda _: None, do="rewind", change=change, agent=self.agent)

    def prompt(self, name: str | None = None, *, tokens: int = 600) -> Any:
        """Return a block for a prompt: the way from the root to a step, and what it needs. Raises NotFound."""
        return self._get("/prompt", _prompt, step=name, tokens=tokens, agent=self.agent)

    def _of(self, read: Callable[[Mapping[str, Node]], Any]) -> Any:
        return self._get("", lambda data: read({node.name: node for node in map(_node, data["steps"])}))

    def _change(self, do: str, step: str, **given: Any) -> Any:
        return self._post("", lambda data: _node(data["step"]), do=do, step=step, agent=self.agent, **given)


class RemoteCases(Kept):
    """A bank of cases; see `mnemos.text.agent.cases.Cases`."""

    def __init__(self, path: str, carry_out: CarryOut, name: str, agent: str | None) -> None:
        super().__init__(f"{path}/cases/{path_segment(name)}", carry_out)
        self.name, self.agent = name, agent

    def add(
        self, situation: str, plan: str, *, reward: float | None = None, name: str | None = None,
        parameters: Mapping[str, str] | None = None, source: str | None = None, of: Sequence[str] = (),
    ) -> Any:  # fmt: skip
        """Store what was done in a situation, and return it. Raises InvalidInput."""
        return self._post(
            "", lambda data: Case(**data["case"]), situation=situation, plan=plan, reward=reward, name=name,
            parameters=parameters, source=source, of=check_texts(of, "of"), agent=self.agent,
        )  # fmt: skip

    def outcome(self, situation: str, cases: Sequence[str], reward: float) -> Any:
        """Note what came of using cases, by id, in a situation. Raises NotFound."""
        names = check_texts(cases, "cases")
        body = {"situation": situation, "cases": names, "reward": reward, "agent": self.agent}
        return self._post("/outcome", lambda _: None, **body)

    def get(self, case_id: str) -> Any:
        """Return a case. Raises NotFound."""
        return self._get("", lambda data: _cases(data)[0], id=case_id)

    def all(self) -> Any:
        """Return all cases, in the order in which they were written."""
        return self._get("", _cases)

    def find(self, situation: str, k: int = 4, *, how: How = "learned", concepts: bool | None = None) -> Any:
        """Return the `k` cases that help best in a situation, best first."""
        return self._post("/find", _cases, situation=situation, k=k, how=how, concepts=concepts)

    def prompt(self, situation: str, k: int = 4, *, tokens: int = 800) -> Any:
        """Return the cases that help best as a block for a prompt."""
        return self._post("/prompt", _prompt, situation=situation, k=k, tokens=tokens)


class RemoteWorking(Kept):
    """A working context; see `mnemos.text.agent.working.Working`."""

    def __init__(self, path: str, carry_out: CarryOut, name: str, tokens: int, policy: str, agent: str | None) -> None:
        super().__init__(f"{path}/working/{path_segment(name)}", carry_out)
        self.name, self.agent, self.tokens, self.policy = name, agent, tokens, policy

    def add(self, text: str, *, pin: bool = False, reconcile: bool = True, **more: Any) -> Any:
        """Store a step and fold the context if the policy says so; return its cube. Takes the keywords of `Space.add`."""
        return self._change("add", text=text, pin=pin, reconcile=reconcile, **more)

    def pin(self, ids: Sequence[str]) -> Any:
        """Keep these memories of the space in every prompt. Raises NotFound."""
        return self._change("pin", ids=check_texts(ids, "ids"))

    def items(self) -> Any:
        """Return what is in the context, oldest first."""
        return self._get("", _items)

    @property
    def state(self) -> Any:
        """The notes in the context: what was folded, a statement a line."""
        return self._get("", lambda data: "\n".join(item.text for item in _items(data) if item.note))

    def fold(self, note: str, ids: Sequence[str] | None = None) -> Any:
        """Replace items of the context by a note, and return its cube. Raises NotFound."""
        return self._change("fold", note=note, ids=None if ids is None else check_texts(ids, "ids"))

    def drop(self, ids: Sequence[str]) -> Any:
        """Take items out of the context without a note. Raises NotFound."""
        return self._change("drop", ids=check_texts(ids, "ids"))

    def bring(self, ids: Sequence[str]) -> Any:
        """Put memories of the space into the context. Raises NotFound."""
        return self._change("bring", ids=check_texts(ids, "ids"))

    def prompt(self, question: str | None = None, *, fetch: int | None = None) -> Any:
        """Return a block for a prompt: the context, and what the space has for a question, within the budget."""
        return self._post("/prompt", _prompt, question=question, fetch=fetch, **self._window())

    def _change(self, do: str, **given: Any) -> Any:
        return self._post(
            "", lambda data: data["cube"] and MemCube.from_dict(data["cube"]), do=do, **self._window(), **given
        )

    def _window(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "policy": self.policy, "agent": self.agent}


class RemoteBeliefs(Kept):
    """What a team of agents learned; see `mnemos.text.agent.beliefs.Beliefs`."""

    def __init__(self, path: str, carry_out: CarryOut, name: str, agent: str | None, sources: Sequence[str]) -> None:
        super().__init__(f"{path}/beliefs/{path_segment(name)}", carry_out)
        self.name, self.agent, self.sources = name, agent, tuple(check_texts(sources, "sources"))

    def learn(self, decisions: Iterable[Decision], *, source: str | None = None, of: Sequence[str] = ()) -> Any:
        """Store an episode, and return the beliefs that it changed, of all sources. Raises InvalidInput."""
        rows = [asdict(decision) for decision in decisions]
        body = {"decisions": rows, "source": source, "of": check_texts(of, "of"), "agent": self.agent}
        return self._post("", lambda data: [Belief(**row) for row in data["beliefs"]], **body)

    def all(self) -> Any:
        """Return the beliefs that concern this agent, in the order in which they changed last."""
        return self._get("", self._mine)

    def changed(self, since: int) -> Any:
        """Return the beliefs that concern this agent and changed after an episode."""
        return self._get("", self._mine, since=since)

    def advice(self, source: str, cue: str) -> Any:
        """Return the action that did best when a source said this; None where nothing is known."""
        key = source, cue
        return self._get("", lambda data: next((b.keep for b in self._mine(data) if (b.source, b.cue) == key), None))

    def prompt(self, *, tokens: int = 600) -> Any:
        """Return the beliefs that concern this agent as a block for a prompt."""
        return self._post("/prompt", _prompt, sources=self.sources, tokens=tokens)

    def _mine(self, data: Any) -> list[Belief]:
        found = [Belief(**row) for row in data["beliefs"]]
        return [belief for belief in found if not self.sources or belief.source in self.sources]


class RemoteAnswers(Kept):
    """The cache of answers of a served space; see `mnemos.text.answers.Answers`. The server finds similar questions."""

    def __init__(self, path: str, carry_out: CarryOut) -> None:
        super().__init__(f"{path}/answers", carry_out)

    def put(self, question: str, answer: str, used: Sequence[str], category: str = DEFAULT, *, scope: str = "") -> Any:
        """Keep an answer and return its id; None where its category is off. Raises NotFound."""
        body = {"question": question, "answer": answer, "used": check_texts(used, "used"), "category": category}
        body["scope"] = scope
        return self._post("", lambda data: data["id"], **body)

    def get(
        self, question: str, category: str = DEFAULT, *, shown: Sequence[str] | None = None, load: float = 0.0,
        scope: str = "",
    ) -> Any:  # fmt: skip
        """Return the answer to the most similar question of the category that still holds; None without one."""
        there = None if shown is None else check_texts(shown, "shown")
        body = {"question": question, "category": category, "shown": there, "load": load, "scope": scope}
        return self._post("/find", _answer, **body)

    def drop(self, category: str | None = None) -> Any:
        """Erase the answers of a category, or all; return how many."""
        query = query_string({"category": category})
        return self._carry_out(lambda: ApiRequest("DELETE", self._path, lambda data: int(data["removed"]), query=query))

    def rules(self, category: str) -> Any:
        """Return the rules of a category: its own, or the default ones."""
        return self._get("/categories", lambda d: _rules(d).get(category) or _rules(d).get(DEFAULT) or Category())

    @property
    def categories(self) -> Any:
        """The rules by category. Assign them in a blocking space; in an asynchronous one await `set_categories`."""
        return self._get("/categories", _rules)

    @categories.setter
    def categories(self, value: Mapping[str, Category]) -> None:
        self.set_categories(value)

    def set_categories(self, value: Mapping[str, Category]) -> Any:
        """Set the rules by category. Raises InvalidInput."""
        if not isinstance(value, Mapping) or not all(isinstance(c, Category) for c in value.values()):
            raise InvalidInput(f"categories is {value!r:.80}, expected a mapping of names to Category.")
        body = {"categories": {name: asdict(rules) for name, rules in value.items()}}
        return self._carry_out(lambda: ApiRequest("PUT", f"{self._path}/categories", _rules, body))


def _node(data: Any) -> Node:
    return Node.of(MemCube.from_dict(data))


def _prompt(data: Any) -> str:
    return str(data["prompt"])


def _cases(data: Any) -> list[Case]:
    return [Case(**row) for row in data["cases"]]


def _items(data: Any) -> list[Item]:
    return [Item(**row) for row in data["items"]]


def _rules(data: Any) -> dict[str, Category]:
    return {name: Category(**rules) for name, rules in data["categories"].items()}


def _answer(data: Any) -> Answer | None:
    found = data["answer"]
    return None if found is None else Answer(**{**found, "used": tuple(found["used"])})
