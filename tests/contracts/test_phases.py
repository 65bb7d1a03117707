"""What every phase of a consolidation keeps: `pytest tests/contracts/test_phases.py -k NAME` checks one."""

import shutil
from contextlib import contextmanager, suppress
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from mnemos import Mnemos
from mnemos.registry import all_entries
from mnemos.store.values import DERIVED
from mnemos.text.base import Phase
from mnemos.text.consolidate.report import Budget
from mnemos.text.forget.policy import Policy
from mnemos.text.null import NoPhase
from mnemos.text.system import DEFAULT
from tests.conftest import Clock

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
AFTER = T0 + timedelta(days=40)  # when the phases run
PHASES = {"null": NoPhase(), **{e.name: e.target() for e in all_entries("text", kind="phase")}}
TOPICS = ("planted tomatoes in the garden", "cooked leeks in the kitchen", "had a meeting in the office")


class Killed(BaseException):
    """What a process feels that is killed."""


@pytest.fixture(params=PHASES.values(), ids=PHASES.keys())
def phase(request):
    return request.param


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with a space that holds a month of talk, some of it recalled: all phases find something to do in it."""
    folder, clock = tmp_path_factory.mktemp("template"), Clock(T0)
    with Mnemos(folder, embedder="hashing", clock=clock) as memory:
        fill(memory.space("ana"), clock)
    return folder


@pytest.fixture
def filled(template, tmp_path, clock):
    """A function that opens a copy of the template."""

    @contextmanager
    def opened():
        folder = Path(mkdtemp(dir=tmp_path))
        shutil.copytree(template, folder, dirs_exist_ok=True)
        clock.now = AFTER
        with Mnemos(folder, embedder="hashing", clock=clock) as memory:
            yield memory.space("ana")

    return opened


@pytest.fixture
def space(filled):
    with filled() as space:
        yield space


@pytest.fixture(scope="module")
def whole():
    """What the phases that were run at once have come to, by phase: it is the same for every test."""
    return {}


def fill(space, clock):
    space.policy = Policy(law="ebbinghaus", constants={"days": 30.0}, cubes=60)
    for day in range(28):
        clock.now = T0 + timedelta(days=day)
        turns = [f"On day {day} I {TOPICS[(day + i // 4) % 3]}, the {i}th time." for i in range(8)]
        space.add_many(
            [{"content": t, "session": f"s{day}", "speaker": "Ana", "id": f"d{day}t{i}"} for i, t in enumerate(turns)]
        )
    space.add("I live in Lisbon.", speaker="Ana", id="fact0")
    space.add("My sister lives in Porto.", speaker="Ana", id="fact1")
    space.add("I work at a bakery.", speaker="Ana", id="fact2")
    for _ in range(9):
        space.text.recalled(["d0t0", "fact0"])
    space.flush()


def run(space, phase, limit=2_000):
    """Run a phase alone until it is done; return what the last and all runs did."""
    budget = Budget(limit)
    phase.run(space.text, budget)
    return budget.done


def originals(space):
    """Return what was said, but for the state and the tier, which phases may change."""
    found = {}
    for state in ("active", "archived", "superseded"):
        cubes = space.cubes(state=state, limit=2_000).items
        found |= {c.id: replace(c, state="active", layer=0) for c in cubes if c.kind not in DERIVED}
    return found


def everything(space):
    """Return what a phase may write, without what differs from run to run: the ids of derived cubes and times."""
    rows = list(space.dump())
    names = {r["cube"]["id"]: r["cube"]["metadata"].get("of", r["cube"]["id"]) for r in rows}
    cubes = sorted(
        (names[c["id"]], c["text"], c["state"], c["layer"], sorted(names[p] for p in c["parents"]))
        for c in (r["cube"] for r in rows)
    )
    links = sorted((names[r["cube"]["id"]], names[x["b"]], x["kind"], x["weight"]) for r in rows for x in r["links"])
    return cubes, links


def test_it_is_a_phase_and_frozen(phase):
    assert isinstance(phase, Phase)
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        phase.anything = 1


def test_twice_is_once(space, phase):
    run(space, phase)
    before = everything(space)
    again = run(space, phase)
    assert not again.changed
    assert everything(space) == before


def test_originals_keep_their_words(space, phase):
    before = originals(space)
    run(space, phase)
    after = originals(space)
    assert after == before  # this policy erases nothing


def end_of(phase, whole, filled):
    """Return what a phase comes to that is run at once."""
    if phase not in whole:
        with filled() as space:
            run(space, phase)
            whole[phase] = everything(space)
    return whole[phase]


def test_a_small_budget_comes_to_the_same_end(filled, whole, phase):
    with filled() as space:
        for _ in range(100):
            if not run(space, phase, 3).changed:
                break
        assert everything(space) == end_of(phase, whole, filled)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_one_that_is_killed_goes_on(filled, whole, phase, monkeypatch, after):
    with filled() as space:
        with monkeypatch.context() as patch:
            kill(patch, space.store, after)
            with suppress(Killed):
                run(space, phase)
        run(space, phase)
        assert everything(space) == end_of(phase, whole, filled)


def kill(patch, store, after):
    """Let the write after the first `after` ones be the last thing that the process does."""
    left = iter(range(after))

    def dying(method):
        def call(*args, **options):
            if next(left, None) is None:
                raise Killed
            return method(*args, **options)

        return call

    for owner, name in (
        (store, "insert"),
        (store, "erase"),
        (store.links, "put"),
        (store.lives, "set_state"),
        (store.lives, "set_tier"),
    ):
        patch.setattr(owner, name, dying(getattr(owner, name)))


def test_a_space_without_a_cube_is_left_alone(tmp_path, clock, phase):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        assert not run(memory.space("empty"), phase).changed


def test_the_default_runs_phases_that_are_registered():
    assert {type(p) for p in DEFAULT.phases} <= {type(p) for p in PHASES.values()}
