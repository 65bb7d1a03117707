"""Routes for agents at work. What they keep is cubes of the space: rights, erasure and export are those of all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi import Path as InPath

from mnemos.cube import MemCube
from mnemos.serve import agent_models as models
from mnemos.serve.once import Once
from mnemos.serve.problems import Json
from mnemos.serve.routes import SpaceAccess, decode_segment, to_rows
from mnemos.space import Space
from mnemos.text.agent.bank import Case
from mnemos.text.agent.critic import Decision
from mnemos.text.agent.nodes import Node, active_of, change_of, ready_of, stale_of
from mnemos.text.agent.task import Task
from mnemos.text.agent.working import Working
from mnemos.text.recall.semantic_cache import Category

CHANGES: Mapping[str, Callable[..., Node]] = {
    "add": Task.add, "set": Task.set, "start": Task.start, "done": Task.done, "confirm": Task.confirm, "drop": Task.drop,
    "revert": Task.revert,
}  # fmt: skip


async def _name(name: Annotated[str, InPath(description="Its name in the space, percent-encoded.")]) -> str:
    return decode_segment(name)


def _only(cubes: Sequence[MemCube]) -> MemCube | None:
    return cubes[0] if cubes else None


Name = Annotated[str, Depends(_name)]
Block = Annotated[int, Query(ge=0, le=10_000_000, description="The most tokens that the block may have.")]
Agent = Annotated[str | None, Query(description="Whose step is active, where several agents work.")]
WINDOW = ("tokens", "policy", "agent")


# -- tasks


def tasks(access: SpaceAccess) -> Json:
    """List the names of the tasks of a space."""
    with access.open("read") as space:
        return Json({"tasks": space.tasks()})


def task(access: SpaceAccess, name: Name, agent: Agent = None) -> Json:
    """Return the steps of a task as cubes, which are stale and ready, the active one, and the number of the last change."""
    with access.open("read") as space:
        nodes = space.task(name).nodes()
        cubes = [node.cube.to_dict() for node in nodes.values() if node.cube]
        told = {"stale": stale_of(nodes), "ready": ready_of(nodes), "change": change_of(nodes)}
        return Json({"steps": cubes, "active": active_of(nodes, agent), **told})


def change_task(access: SpaceAccess, name: Name, body: models.TaskChange, once: Once) -> Json:
    """Change a step of a task, or rewind the task; return the step, and what is stale and ready now. Needs read and write."""
    with access.open("read", "write", create=body.do == "add") as space:
        state = space.task(name, agent=body.agent)

        def change() -> list[MemCube]:
            if body.do == "rewind":
                state.rewind(body.change or 0)
                return []
            made = CHANGES[body.do](state, body.step, **body.given("do", "step", "agent")).cube
            return [made] if made else []

        step = _only(once(access, space, change))
        return once.mark(Json({"step": step and step.to_dict(), "stale": state.stale(), "ready": state.ready()}))


def task_history(access: SpaceAccess, name: Name, step: str) -> Json:
    """List all versions of a step of a task as cubes, oldest first."""
    with access.open("read") as space:
        return Json({"steps": [node.cube.to_dict() for node in space.task(name).history(step) if node.cube]})


def task_prompt(
    access: SpaceAccess, name: Name, step: str | None = None, tokens: Block = 600, agent: Agent = None
) -> Json:
    """Return a block for a prompt: the way from the root to a step (default: the active one), and what it needs."""
    with access.open("read") as space:
        return Json({"prompt": space.task(name, agent=agent).prompt(step, tokens=tokens)})


# -- cases


def cases(access: SpaceAccess, name: Name, id: str | None = None) -> Json:
    """List the cases of a bank in the order in which they were written, or the one with an id."""
    with access.open("read") as space:
        bank = space.cases(name)
        return Json({"cases": to_rows(bank.all() if id is None else [bank.get(id)])})


def add_case(access: SpaceAccess, name: Name, body: models.Case, once: Once) -> Json:
    """Store what was done in a situation and what came of it. Needs read and write."""
    with access.open("read", "write", create=True) as space:
        bank = space.cases(name, agent=body.agent)
        [cube] = once(access, space, lambda: [space.get(bank.add(**body.given("agent")).id)])
        return once.mark(Json({"case": asdict(Case.of(cube))}))


def outcome(access: SpaceAccess, name: Name, body: models.Outcome, once: Once) -> Json:
    """Note what came of following cases: the bank learns which help in which situation. Needs read and write."""
    with access.open("read", "write") as space:
        bank = space.cases(name, agent=body.agent)

        def note() -> list[MemCube]:
            bank.outcome(body.situation, body.cases, body.reward)
            return []

        once(access, space, note)
        return once.mark(Json({"noted": body.cases}))


def find_cases(access: SpaceAccess, name: Name, body: models.FindCases) -> Json:
    """Return the cases that help best in a situation, best first, with the chance that each does."""
    with access.open("read") as space:
        return Json({"cases": to_rows(space.cases(name).find(**body.given()))})


def cases_prompt(access: SpaceAccess, name: Name, body: models.CasesPrompt) -> Json:
    """Return a block for a prompt: the cases that help best, successes and failures told apart."""
    with access.open("read") as space:
        return Json({"prompt": space.cases(name).prompt(**body.given())})


# -- labels


def labels(access: SpaceAccess, name: Name) -> Json:
    """Return how many texts each label of a classifier has, the most common first."""
    with access.open("read") as space:
        return Json({"labels": space.labels(name).counts()})


def learn_labels(access: SpaceAccess, name: Name, body: models.Examples, once: Once) -> Json:
    """Teach a classifier labels of texts or cubes; return the cubes of the examples. Needs read and write."""
    with access.open("read", "write", create=True) as space:

        def learn() -> list[MemCube]:
            told = [(space.get(e.cube) if e.cube is not None else e.text or "", e.label) for e in body.examples]
            return list(space.labels(name).learn_many(told))

        return once.mark(Json({"examples": [cube.to_dict() for cube in once(access, space, learn)]}))


def predict_labels(access: SpaceAccess, name: Name, body: models.Predict) -> Json:
    """Return the likeliest labels of each text, best first, with their scores."""
    with access.open("read") as space:
        found = space.labels(name).predict_many(body.texts, body.k, least=body.least)
        return Json({"labels": [to_rows(each) for each in found]})


# -- working contexts


def working(access: SpaceAccess, name: Name) -> Json:
    """List the items of a working context, oldest first. Folds nothing."""
    with access.open("read") as space:
        return Json({"items": to_rows(space.working(name).items())})


def change_working(access: SpaceAccess, name: Name, body: models.ContextChange, once: Once) -> Json:
    """Add a step to a working context, or pin, fold, drop or bring items. It stays within its tokens. Needs read and write."""
    with access.open("read", "write", create=body.do == "add") as space:
        context, ids = _context(space, name, body), body.ids or []

        def change() -> list[MemCube]:
            if body.do == "add":
                return [context.add(body.text or "", **body.given("do", "text", *WINDOW))]
            if body.do == "fold":
                return [context.fold(body.note or "", body.ids)]
            {"pin": context.pin, "drop": context.drop, "bring": context.bring}[body.do](ids)
            return []

        cube = _only(once(access, space, change))
        return once.mark(Json({"cube": cube and cube.to_dict()}))


def working_prompt(access: SpaceAccess, name: Name, body: models.ContextPrompt) -> Json:
    """Return a block for a prompt within the budget: the context, and what the space has for a question.

    The context is folded first where the policy says so, which writes: needs read and write.
    """
    with access.open("read", "write") as space:
        return Json({"prompt": _context(space, name, body).prompt(body.question, fetch=body.fetch)})


def _context(space: Space, name: str, body: models.Window) -> Working:
    return space.working(name, tokens=body.tokens, policy=body.policy, agent=body.agent)


# -- beliefs


def beliefs(access: SpaceAccess, name: Name, since: Annotated[int, Query(ge=0, lt=2**62)] = 0) -> Json:
    """List the beliefs of a team, those that changed last at the end; with `since` those changed after that episode."""
    with access.open("read", audited=True) as space:  # what an erasure took along is written again
        return Json({"beliefs": to_rows(space.beliefs(name).changed(since))})


def learn(access: SpaceAccess, name: Name, body: models.Episode, once: Once) -> Json:
    """Store the decisions of an episode, compare it with the one before; return what changed. Needs read and write."""
    with access.open("read", "write", create=True) as space:
        decisions = [Decision(**decision.model_dump()) for decision in body.decisions]
        team = space.beliefs(name, agent=body.agent)

        def write() -> list[MemCube]:
            changed = team.learn(decisions, **body.given("decisions", "agent"))
            return [space.get(belief.id) for belief in changed]

        changed = {cube.id for cube in once(access, space, write)}
        return once.mark(Json({"beliefs": to_rows([belief for belief in team.all() if belief.id in changed])}))


def beliefs_prompt(access: SpaceAccess, name: Name, body: models.BeliefsPrompt) -> Json:
    """Return the beliefs that concern an agent as a block for a prompt, the surest first."""
    with access.open("read", audited=True) as space:
        return Json({"prompt": space.beliefs(name, sources=body.sources).prompt(tokens=body.tokens)})


# -- answers


def put_answer(access: SpaceAccess, body: models.PutAnswer, once: Once) -> Json:
    """Keep an answer until one of its memories changes; returns its id, null if its category is off. Needs read and write."""
    with access.open("read", "write") as space:

        def put() -> list[MemCube]:
            made = space.answers.put(**body.model_dump())
            return [space.get(made)] if made else []

        cube = _only(once(access, space, put))
        return once.mark(Json({"id": cube and cube.id}))


def find_answer(access: SpaceAccess, body: models.FindAnswer) -> Json:
    """Return the answer to the most similar question that still holds, or null."""
    with access.open("read") as space:
        found = space.answers.get(**body.model_dump())
        return Json({"answer": found and asdict(found)})


def drop_answers(access: SpaceAccess, category: str | None = None) -> Json:
    """Erase the cached answers of a category, or all; return how many."""
    with access.open("erase") as space:
        return Json({"removed": space.answers.drop(category)})


def categories(access: SpaceAccess) -> Json:
    """Return the rules of the cache of answers by category: similarity, days, room, and whether it is on."""
    with access.open("read") as space:
        return Json(_categories(space.answers.categories))


def set_categories(access: SpaceAccess, body: models.Categories) -> Json:
    """Set the rules of the cache of answers. Needs read and write."""
    with access.open("read", "write", create=True) as space:
        space.answers.categories = {name: Category(**rules.model_dump()) for name, rules in body.categories.items()}
        return Json(_categories(space.answers.categories))


def _categories(found: Mapping[str, Category]) -> dict[str, Any]:
    return {"categories": {name: asdict(rules) for name, rules in found.items()}}
