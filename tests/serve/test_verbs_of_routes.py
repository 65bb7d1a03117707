"""What REST can, Python can: each route of spaces, and the verb that does the same in an embedded memory."""

import pytest

pytest.importorskip("fastapi")

from mnemos import Mnemos, Space
from mnemos.inspect.inspector import Inspector
from mnemos.migrate.labels import Labels
from mnemos.serve.app import CUBE, ROUTES, SPACE
from mnemos.serve.client import AsyncRemoteSpace, RemoteSpace
from mnemos.text.agent.beliefs import Beliefs
from mnemos.text.agent.cases import Cases
from mnemos.text.agent.task import Task
from mnemos.text.agent.working import Working
from mnemos.text.answers import Answers
from mnemos.transfer import import_path

VERBS = {
    ("GET", "/v1/spaces"): Mnemos.spaces,
    ("DELETE", SPACE): Mnemos.remove,
    ("POST", f"{SPACE}/cubes"): Space.add_many,
    ("GET", f"{SPACE}/cubes"): (Space.cubes, Inspector.newest),
    ("GET", CUBE): Space.get,
    ("PATCH", CUBE): Space.update,
    ("DELETE", CUBE): Space.delete,
    ("GET", f"{CUBE}/history"): Space.history,
    ("POST", f"{CUBE}/rollback"): Space.rollback,
    ("GET", f"{CUBE}/links"): Space.links,
    ("GET", f"{SPACE}/links"): Space.links,
    ("POST", f"{CUBE}/pin"): (Space.pin, Space.unpin),
    ("GET", f"{CUBE}/curve"): Inspector.curve,
    ("POST", f"{SPACE}/search"): Space.search,
    ("POST", f"{SPACE}/search_sessions"): Space.search_sessions,
    ("POST", f"{SPACE}/context"): Space.context,
    ("GET", f"{SPACE}/facts"): Space.facts,
    ("GET", f"{SPACE}/decisions"): Space.decisions,
    ("POST", f"{SPACE}/forget"): (Space.forget, Space.forget_preview),
    ("POST", f"{SPACE}/verify"): Space.verify,
    ("POST", f"{SPACE}/quarantined"): Space.quarantined,
    ("POST", f"{SPACE}/used"): Space.used,
    ("POST", f"{SPACE}/archive"): (Space.archive, Space.unarchive),
    ("POST", f"{SPACE}/consolidate"): Space.consolidate,
    ("POST", f"{SPACE}/apply-policy"): Space.apply_policy,
    ("GET", f"{SPACE}/policy"): Space.policy,
    ("PUT", f"{SPACE}/policy"): Space.policy,
    ("GET", f"{SPACE}/timezone"): Space.timezone,
    ("PUT", f"{SPACE}/timezone"): Space.timezone,
    ("GET", f"{SPACE}/timeline"): Inspector.timeline,
    ("GET", f"{SPACE}/graph"): (Inspector.graph, Inspector.strengths),
    ("GET", f"{SPACE}/fading"): Inspector.due_soon,
    ("GET", f"{SPACE}/forms"): Inspector.sizes,
    ("GET", f"{SPACE}/runs"): Inspector.runs,
    ("GET", f"{SPACE}/stats"): (Space.stats, Space.count),
    ("GET", f"{SPACE}/audit"): (Space.audit, Space.verify_audit),
    ("GET", f"{SPACE}/export"): Space.dump,
    ("POST", f"{SPACE}/import"): Space.restore,
    ("POST", f"{SPACE}/import/file"): import_path,
    ("GET", f"{SPACE}/tasks"): Space.tasks,
    ("GET", f"{SPACE}/tasks/{{name}}"): (Space.task, Task.nodes),
    ("POST", f"{SPACE}/tasks/{{name}}"): (Task.add, Task.set, Task.done, Task.drop, Task.revert, Task.rewind),
    ("GET", f"{SPACE}/tasks/{{name}}/history"): Task.history,
    ("GET", f"{SPACE}/tasks/{{name}}/prompt"): Task.prompt,
    ("GET", f"{SPACE}/cases/{{name}}"): (Space.cases, Cases.all, Cases.get),
    ("POST", f"{SPACE}/cases/{{name}}"): Cases.add,
    ("POST", f"{SPACE}/cases/{{name}}/outcome"): Cases.outcome,
    ("POST", f"{SPACE}/cases/{{name}}/find"): Cases.find,
    ("POST", f"{SPACE}/cases/{{name}}/prompt"): Cases.prompt,
    ("GET", f"{SPACE}/labels/{{name}}"): (Space.labels, Labels.counts),
    ("POST", f"{SPACE}/labels/{{name}}"): (Labels.learn, Labels.learn_many),
    ("POST", f"{SPACE}/labels/{{name}}/predict"): (Labels.predict, Labels.predict_many),
    ("GET", f"{SPACE}/working/{{name}}"): (Space.working, Working.items),
    ("POST", f"{SPACE}/working/{{name}}"): (Working.add, Working.pin, Working.fold, Working.drop, Working.bring),
    ("POST", f"{SPACE}/working/{{name}}/prompt"): Working.prompt,
    ("GET", f"{SPACE}/beliefs/{{name}}"): (Space.beliefs, Beliefs.all, Beliefs.changed),
    ("POST", f"{SPACE}/beliefs/{{name}}"): Beliefs.learn,
    ("POST", f"{SPACE}/beliefs/{{name}}/prompt"): Beliefs.prompt,
    ("POST", f"{SPACE}/answers"): Answers.put,
    ("POST", f"{SPACE}/answers/find"): Answers.get,
    ("DELETE", f"{SPACE}/answers"): Answers.drop,
    ("GET", f"{SPACE}/answers/categories"): Answers.rules,
    ("PUT", f"{SPACE}/answers/categories"): Answers.rules,
}
# about the server itself: a process has no keys and no health of its own
OF_THE_SERVER = {"/v1/vocabulary", "/health", "/ready", "/metrics", "/v1/key", "/v1/keys", "/v1/keys/{id}"}


def test_every_route_has_a_verb():
    routes = {(method, path) for method, path, *_ in ROUTES if path not in OF_THE_SERVER}
    assert routes == VERBS.keys()


def test_every_verb_with_a_route_is_a_verb_of_the_clients():
    verbs = {v for found in VERBS.values() for v in (found if isinstance(found, tuple) else (found,))}
    names = {v.__name__ for v in verbs if getattr(v, "__qualname__", "").startswith("Space.")}
    for remote in (RemoteSpace, AsyncRemoteSpace):
        assert names <= set(dir(remote))


def test_a_space_inspects_itself(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        cubes = space.add_many({"content": f"Note {i}.", "at": f"2024-01-0{i}"} for i in (1, 2, 3))
        inspect = space.inspect
        assert [n for _, n in inspect.timeline(by="day", until="2024-01-03").buckets] == [1, 1]
        assert [c.text for c in inspect.newest(limit=1)] == ["Note 3.", "Note 2.", "Note 1."]
        assert {c.id for c in inspect.graph().cubes} == {c.id for c in cubes}
        assert inspect.strengths(cubes) == pytest.approx([inspect.curve(c.id).now for c in cubes], rel=1e-3)
        assert [c.id for c, _ in inspect.due_soon().next] == [c.id for c in cubes]
        assert inspect.sizes().forms[0][:3] == ("text", "turn", 3)
        assert inspect.runs() == []
        receipt = space.forget([cubes[0].id])
        assert space.verify(receipt) == []
        assert [e.action for e in space.audit()] == ["add", "erase"]
        assert space.verify_audit(space.audit()[0].chain) == (2, [])
