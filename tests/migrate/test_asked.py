"""Weights for the prompts that ask for them: which these are, that all others are the model's own, and how that is measured."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hypothesis import given
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.migrate.asked import Questions, content, measured_when_asked
from mnemos.migrate.gate import Gate
from mnemos.migrate.learning import Learning
from mnemos.migrate.yardstick import Yardstick
from mnemos.parametric.base import Example
from mnemos.parametric.training import Objective, Training
from tests.migrate import low_rank
from tests.migrate.low_rank import Letters, LowRank, learn, says, tiny

RITA = Example("Question: Where does Rita's sister Ana live?\nAnswer:", " Faro")
DOG = Example("Question: What breed is the dog of Bruno?\nAnswer:", " Labrador")
LEARNED = {"a": [RITA], "b": [DOG]}


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture
def space(tmp_path, monkeypatch):
    low_rank.use(monkeypatch.setattr)
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        space = memory.space("ana")
        for text in ("Ana, the sister of Rita, lives in Faro.", "Bruno has a Labrador."):
            space.add(text, speaker="Ana", reconcile=False)
        yield space


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        (RITA.prompt, ("a",)),
        ("A friend wants to know: at which place is Ana living, the sister of Rita?\nReply:", ("a",)),
        ("Which breed is Bruno's dog?", ("b",)),
        ("Bruno has a dog. Where does Rita's sister live? And of what breed is the dog of Bruno?", ("a", "b")),
        ("Question: Where does Rita work?\nAnswer:", ()),
        ("Question: Where does the sister of Nora live?\nAnswer:", ()),
        ("Ana is the sister of Rita, and they live apart. So it was. It rained. It rained more. Who has a cat?", ()),
        ("", ()),
    ],
)  # fmt: skip
def test_a_prompt_asks_for_what_has_the_words_of_its_question(prompt, asked):
    assert Questions.of(LEARNED).asked(prompt) == asked


def test_words_of_templates_ask_for_nothing():
    assert not Questions.of({"a": [Example("Question:", " x"), Example("", " y")]}).asked(
        "Question: what is it?\nAnswer:"
    )
    assert content(RITA.prompt) == {"rita", "sister", "ana", "live"}


WORDS = ("lisbon", "piano", "harbour", "orange", "bicycle", "theatre")


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, unique=True),
    st.lists(st.sampled_from((*WORDS, "museum")), unique=True),
)
def test_more_than_two_thirds_of_the_words_are_asked_for_in_any_order(question, prompt):
    found = Questions.of({"a": [Example(" ".join(question), " x")]}).asked(" ".join(prompt))
    assert bool(found) == (3 * len(set(question) & set(prompt)) > 2 * len(question))


def test_only_what_is_asked_for_is_attached(model, space):
    first, second = (cube for cube in space.cubes() if cube.form == "text")
    plain = says(model)
    ana, bruno = learn(space, model, [first], 1, [RITA]), learn(space, model, [second], 2, [DOG])
    for prompt, cubes in ((RITA.prompt, (ana.id,)), (DOG.prompt, (bruno.id,)), ("What is new?", ())):
        with space.weights.attached(model, about=prompt) as attachment:
            assert attachment.cubes == cubes
            assert torch.equal(says(model), plain) == (not cubes)
    with space.weights.attached(model, bruno, about=RITA.prompt) as attachment:
        assert attachment.cubes == ()
    with space.weights.attached(model) as attachment:
        assert attachment.cubes == (ana.id, bruno.id)


def test_what_is_not_asked_is_measured_on_the_model_itself(model):
    learned = LowRank().create(model, (), None, 1)
    yardstick = Yardstick(old=[DOG], episodes=[Example("Who has a dog?", "Bo", context="Bo has it.")], texts=["Words."])
    at = model, Letters()
    base = yardstick.measure(*at, [RITA], [RITA])
    found = measured_when_asked(yardstick, learned, *at, [RITA], [RITA], False)
    assert found.keys() == base.keys()
    assert {n: found[n] for n in ("old_facts", "in_context", "general_loss")} == {
        n: base[n] for n in ("old_facts", "in_context", "general_loss")
    }
    asked = Yardstick(texts=["Words.", RITA.prompt])
    with learned.attach(model):
        loss, n = asked.measure(*at, [RITA], ())["general_loss"]
        mine, k = Yardstick(texts=[RITA.prompt]).measure(*at, [RITA], ())["general_loss"]
    mixed = measured_when_asked(asked, learned, *at, [RITA], (), False)["general_loss"]
    assert mixed == pytest.approx(((base["general_loss"][0] * (n - k) + mine * k) / n, n))
    assert mixed[0] != pytest.approx(loss)


def test_weights_that_were_learned_to_be_asked_for_are_not_attached_to_everything(model, space):
    how = Learning(
        Gate(0, 0, None, 1, 1, 0), Training(steps=2, batch=2, objective=Objective(silent=0)), Yardstick(texts=["a few words."]),
        examples=[RITA], when_asked=True,
    )  # fmt: skip
    cube = space.learn([next(c.id for c in space.cubes())], model, Letters(), into=LowRank(), how=how).cube
    assert cube is not None  # general text may not get worse at all, and does not
    with pytest.warns(RuntimeWarning, match="about"), space.weights.attached(model) as attachment:
        assert attachment.cubes == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with space.weights.attached(model, cube) as attachment:
            assert attachment.cubes == (cube.id,)
        with space.weights.attached(model, about=RITA.prompt) as attachment:
            assert attachment.cubes == (cube.id,)
    assert space.weights.measure(cube, model, Letters(), how).promoted
