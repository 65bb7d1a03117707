"""The worlds of `mnemos bench agents` on a small scale: what each shows, and that their truth is kept apart."""

import pytest

from mnemos import Mnemos
from mnemos.bench.text import agents_context as worlds
from mnemos.bench.text.agents_association import World, answered, retrieved_once
from mnemos.bench.text.agents_cases import stream
from mnemos.bench.text.agents_concepts import run, solved
from mnemos.bench.text.agents_dialogues import SCENARIOS, play, script
from mnemos.bench.text.agents_edits import train
from mnemos.text.compress.base import KeepAll
from mnemos.text.compress.carry_over import CarryOver
from mnemos.text.compress.internal_state import ShortAndLongTerm
from mnemos.text.compress.window import SlidingWindow


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory


def test_a_bounded_context_answers_as_the_full_one_where_a_window_does_not():
    full, short, window = (
        worlds.inspect_valves(policy, 1, 30, 16, 420) for policy in (KeepAll(), ShortAndLongTerm(), SlidingWindow())
    )
    assert all(full.right)
    assert sum(short.right) >= 0.95 * len(full.right) > 0.8 * len(full.right) > sum(window.right)
    assert max(short.tokens) <= 420 < max(full.tokens)


def test_a_carry_over_needs_what_is_written_down():
    writes, silent = (worlds.count_along(CarryOver(), 1, 18, 420, writes=writes) for writes in (True, False))
    assert all(writes.right)
    assert not silent.right[-1]


def test_edits_that_were_learned_keep_what_the_goal_names():
    policy = train(0, 1, 60, 1_000)
    assert policy.weights[2] > 0.3
    learned, window = (worlds.find_for_goal(p, 5, 60, 1_000) for p in (policy, SlidingWindow()))
    assert sum(learned.right) > sum(window.right)


def test_the_tree_of_a_task_has_the_true_state_in_every_turn(memory):
    score = play(memory.space("a"), "trip", 3, 15)
    assert all(score.right["task tree"])
    assert all(score.stale_exact)
    assert not all(score.right["all turns"])
    assert score.right["all turns, taken back too"] == score.right["task tree"]
    assert {turn.kind for turn in script("trip", 3, 15)} == {"set", "revert", "ask"}
    assert all(set(needs) <= steps.keys() for steps in SCENARIOS.values() for _, needs, _ in steps.values())


def test_a_stream_of_tasks_has_new_topics_at_its_end():
    tasks = stream(0, 200)
    assert tasks == stream(0, 200)
    first, last = ({w for text, _ in part for w in text.split()} for part in (tasks[:160], tasks[160:]))
    assert len(last - first) > 20


def test_a_search_with_association_finds_what_a_question_does_not_name(memory):
    world = World.draw(2, 40, 6)
    space = memory.space("graph")
    space.add_many([{"content": fact} for fact in world.facts], reconcile=False)
    associated = answered(space, world, 20, associate=True, beta=0.3)
    plain = answered(space, world, 20, associate=False, beta=0.0)
    assert sum(associated) > sum(plain)
    assert sum(associated) > sum(retrieved_once(space, world, 20))


def test_concepts_solve_compositions_that_whole_solutions_do_not(memory):
    assert run((("sort", 0), ("drop", 2), ("add", 1)), [3, 1, 2, 5]) == [4, 6]
    solutions, concepts = (solved(memory.space(way), way, 0, 6)[6:12] for way in ("solutions", "concepts"))
    assert sum(concepts) > sum(solutions)
    names = {case.name for case in memory.space("concepts").cases("concepts 0").all()}
    assert any("then" in name for name in names)
