"""Learning cubes: the gate decides by what was measured, a report tells all, and nothing stays of what was refused."""

from __future__ import annotations

import json
import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos import Mnemos
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreFull
from mnemos.migrate.gate import Gate
from mnemos.migrate.learning import Learning, unfit
from mnemos.migrate.yardstick import Yardstick
from mnemos.parametric.base import Example
from mnemos.parametric.training import Objective, Training
from tests.migrate import low_rank
from tests.migrate.low_rank import Letters, LowRank, says, tiny

GOOD = {"recall": (1.0, 40), "paraphrase": (0.9, 40), "old_facts": (0.5, 20), "in_context": (0.8, 40),
        "newer_wins": (0.9, 40), "general_loss": (3.0, 900)}  # fmt: skip
ASKED = [
    Example("Who has a dog?", "Bo", context="Bo has a dog."),
    Example("Who has a cat?", "Al", context="Al has a cat."),
]
QUICK = Training(steps=2, batch=2, objective=Objective(silent=0))


def how(**options) -> Learning:
    yardstick = Yardstick(episodes=ASKED, texts=["a few words."])
    options = {"examples": ASKED, "paraphrases": ASKED[:1], "training": QUICK, "yardstick": yardstick} | options
    return Learning(**options)


OPEN = Gate(0, 0, None, 1, 1, 1)


@pytest.fixture(scope="module")
def shared():
    return tiny()


@pytest.fixture
def model(shared):
    plain = says(shared)
    yield shared
    assert torch.equal(says(shared), plain)


@pytest.fixture
def space(tmp_path, monkeypatch):
    low_rank.use(monkeypatch.setattr)
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        space = memory.space("ana")
        space.add("I have a dog called Bo.", speaker="Ana")
        space.add("I have a cat called Al.", speaker="Ana")
        yield space


def ids(space):
    return [cube.id for cube in space.cubes()]


@pytest.mark.parametrize(
    ("name", "worse", "said"),
    [
        ("recall", 0.89, "at least 0.9"), ("paraphrase", 0.7, "in other words: 0.70 of 40"),
        ("old_facts", 0.35, "fell from 0.50 to 0.35"), ("in_context", 0.77, "fell from 0.80 to 0.77"),
        ("newer_wins", 0.8, "newer context"), ("general_loss", 3.02, "rose by 2.0%"),
    ],
)  # fmt: skip
def test_a_gate_refuses_what_one_measure_forbids_and_says_which(name, worse, said):
    assert Gate().decide(GOOD, GOOD).promoted
    decision = Gate().decide(GOOD, {**GOOD, name: (worse, GOOD[name][1])})
    assert not decision.promoted
    assert len(decision.reasons) == 1
    assert said in decision.reasons[0]
    assert Gate(**{name: None}).decide(GOOD, {**GOOD, name: (worse, 40)}).promoted


def test_one_answer_of_a_small_set_may_change_and_what_is_not_asked_is_told():
    small = {**GOOD, "old_facts": (1.0, 10)}
    assert Gate().decide(small, {**small, "old_facts": (0.9, 10)}).promoted
    assert not Gate().decide(small, {**small, "old_facts": (0.8, 10)}).promoted
    known = {name: value for name, value in GOOD.items() if name != "old_facts"}
    assert Gate().decide(known, known).unmeasured == ("old_facts",)
    assert not Gate().decide(known, {}).promoted
    with pytest.raises(InvalidInput, match="recall"):
        Gate(recall=90)


def test_what_passes_is_kept_with_its_measures_and_attached(model, space):
    steps = []
    report = space.learn(
        ids(space), model, Letters(), into=LowRank(), how=how(gate=OPEN, progress=lambda *a: steps.append(a))
    )
    assert report.promoted
    assert len(steps) == 2
    cube = space.weights.get(report.cube.id)
    assert cube.metadata["measures"]["after"].keys() == report.after.keys() == GOOD.keys() - {"old_facts"}
    assert cube.metadata["gate"]["recall"] == 0
    assert cube.metadata["bytes"] >= report.nbytes > 0
    assert set(cube.parents) == set(ids(space)) == set(report.learned)
    assert json.loads(json.dumps(report.to_dict()))["cube"] == cube.id
    assert report.original_share == 1
    with space.weights.attached(model) as attachment:
        assert attachment.cubes == (cube.id,)
        with pytest.raises(Conflict, match="attached"):
            space.learn(ids(space), model, Letters(), into=LowRank(), how=how())


def test_what_fails_stays_text_and_leaves_nothing(model, space):
    report = space.learn(ids(space), model, Letters(), into=LowRank(), how=how())
    assert not report.promoted
    assert any("what was learned" in reason for reason in report.decision.reasons)
    assert space.weights.list() == []
    assert space.store.blobs.ids() == set()
    assert space.search("Who has a dog?")


def test_a_full_disk_and_a_changed_text_are_reasons_too(model, space, monkeypatch):
    def full(*_):
        raise StoreFull("the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(space.store.blobs, "write", full)
        report = space.learn(ids(space), model, Letters(), into=LowRank(), how=how(gate=OPEN))
    assert not report.promoted
    assert report.decision.reasons == ("the disk is full.",)
    change = lambda *_: space.update(ids(space)[0], content="I have no dog.")  # noqa: E731
    report = space.learn(ids(space), model, Letters(), into=LowRank(), how=how(gate=OPEN, progress=change))
    assert "updated" in report.decision.reasons[0]
    assert space.store.blobs.ids() == set()


def test_they_are_measured_again_in_place(model, space):
    cube = space.learn(ids(space), model, Letters(), into=LowRank(), how=how(gate=OPEN)).cube
    decision = space.weights.measure(cube, model, Letters(), how())
    assert not decision.promoted
    again = space.weights.get(cube.id)
    assert (again.version, again.at) == (2, cube.at)
    assert again.metadata["failed"] == list(decision.reasons)
    assert again.metadata["measures"]["after"] == {n: list(v) for n, v in cube.metadata["measures"]["after"].items()}
    with warnings.catch_warnings(), space.weights.attached(model, again):
        warnings.simplefilter("error")


def test_what_is_private_secret_or_no_longer_so_is_not_learned(model, space):
    private = space.add("My salary is 5000.", metadata={"private": True})
    gone = space.add("I like figs.")
    space.archive([gone.id])
    with pytest.raises(InvalidInput, match="private"):
        space.learn([private.id], model, Letters(), into=LowRank(), how=how())
    space.secrets = "keep"
    secret = space.add("my key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")
    assert "secret" in unfit(secret)
    some = [*ids(space)[:2], private.id, gone.id, secret.id]
    report = space.learn(some, model, Letters(), into=LowRank(), how=how(gate=OPEN))
    assert set(report.left_out) == {private.id, gone.id, secret.id}
    assert set(report.cube.parents) == set(ids(space)[:2])
    with pytest.raises(NotFound):
        space.learn(["no-such"], model, Letters())
    with pytest.raises(NotFound):
        space.learn(ids(space)[:1], model, Letters(), into="no-such-carrier")


def test_the_usual_yardstick_asks_what_can_be_answered():
    usual = Yardstick.usual()
    assert len(usual.old) == 30
    assert all(e.answer.strip() in e.context for e in usual.episodes)
    assert len({e.prompt for e in usual.episodes}) > 30


def test_weights_in_few_bits_are_measured_as_they_are_stored(space, model):
    made = {
        bits: space.learn(ids(space), model, Letters(), into=LowRank(rank=32), how=how(gate=OPEN, bits=bits)).cube
        for bits in (None, 8, 2)
    }
    sizes = {bits: cube.metadata["bytes"] for bits, cube in made.items()}
    assert sizes[2] < sizes[8] < sizes[None]
    answers = {}
    for bits, cube in made.items():
        with space.weights.attached(model, cube.id):
            answers[bits] = says(model)
    near, far = (float((answers[bits] - answers[None]).abs().max()) for bits in (8, 2))
    assert 0 < near < far
