"""The tasks of `mnemos bench kv`: seeded, answerable from the slots they name, and from nothing else."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.bench.kv import tasks
from mnemos.bench.kv.vocabulary import BOS, CONTENT, FILLERS, KEYS, MARKER, PERIOD, TOPICS, VALUES, words
from mnemos.errors import InvalidInput

MAKE = list(tasks.TASKS.items())


def what_followed(context: list[int], question: int, count: int) -> list[int]:
    at = context.index(question)
    return context[at + 1 : at + 1 + count]


@pytest.mark.parametrize(("name", "make"), MAKE)
def test_the_same_seed_gives_the_same_task_and_another_one_does_not(name, make):
    task, again, other = make(6, 48, seed=5), make(6, 48, seed=5), make(6, 48, seed=6)
    for field in ("context", "questions", "answers", "evidence"):
        assert torch.equal(getattr(task, field), getattr(again, field))
    assert task.name == name
    assert not torch.equal(task.context, other.context)


@pytest.mark.parametrize(("name", "make"), MAKE)
@pytest.mark.parametrize("length", [33, 64, 90])
def test_looking_up_what_followed_the_question_answers_everything(name, make, length):
    task = make(20, length, seed=1)
    assert task.context.shape == (20, length)
    assert (task.context[:, 0] == BOS).all()
    for context, questions, answers in zip(task.context, task.questions, task.answers, strict=True):
        for question, answer in zip(questions, answers, strict=True):
            assert what_followed(context.tolist(), question.item(), len(answer)) == answer.tolist()


@pytest.mark.parametrize(("name", "make"), MAKE)
def test_the_evidence_is_where_question_and_answer_stand(name, make):
    task = make(20, 64, seed=2)
    for n, slots in enumerate(task.evidence):
        stood = task.context[n][slots]  # (K, e)
        asked = torch.cat([task.questions[n], task.answers[n]], -1)
        assert torch.equal(stood, asked[:, -slots.shape[-1] :])  # of a copy, BOS is no evidence
    assert (task.evidence.diff(dim=-1) == 1).all()


def test_nothing_but_the_pairs_could_answer():
    task = tasks.key_value(30, 64, 8, seed=3)
    keys, values = ((task.context >= span.start) & (task.context < span.stop) for span in (KEYS, VALUES))
    assert (keys.sum(1) == 8).all()
    assert (values.sum(1) == 8).all()
    assert torch.equal(keys.roll(1, 1), values)  # each value right behind a key
    assert all(len(set(row.flatten().tolist())) == 8 for row in task.questions)


def test_questions_do_not_come_in_the_order_of_the_text():
    first = tasks.key_value(200, 64, 8, seed=4).evidence[:, 0, 0].float()
    assert 20 < first.mean() < 45  # else the first question would always be about the first pair


def test_slots_reach_both_ends():
    starts = tasks.place(2_000, 20, 3, 2, tasks.generator(0))
    assert starts.min() == 1
    assert starts.max() == 18
    assert (starts.diff(dim=1) >= 2).all()


@pytest.mark.parametrize(("depth", "start"), [(0, 1), (0.5, 29), (1, 58)])
def test_the_passkey_stands_at_its_depth(depth, start):
    task = tasks.passkey(4, 64, depth, seed=0)
    assert (task.evidence[:, 0, 0] == start).all()
    assert (task.context[:, start] == MARKER).all()
    assert (task.context == MARKER).sum() == 4


def test_records_are_sentences():
    task = tasks.records(30, 64, 4, seed=1)
    ends = task.evidence[..., -1].flatten(1) + 1
    begins = task.evidence[..., 0].flatten(1) - 1
    assert (task.context.gather(1, ends) == PERIOD).all()
    before = task.context.gather(1, begins)
    assert ((before == PERIOD) | (before == BOS)).all()


def test_a_segment_has_one_topic_another_than_the_one_before_and_one_pair():
    task = tasks.topics(50, 64, 4, seed=0)
    for context, firsts, evidence in zip(task.context, task.segments, task.evidence, strict=True):
        bounds = [*firsts.tolist(), 64]
        assert bounds[0] == 1
        seen = []
        for begin, end in zip(bounds, bounds[1:], strict=False):
            assert end - begin >= tasks.SEGMENT
            filler = [i for i in context[begin:end].tolist() if i in FILLERS]
            assert len(filler) == end - begin - 2
            assert context[begin].item() in FILLERS  # a boundary shows
            (topic,) = {t for t, span in enumerate(TOPICS) if set(filler) & set(span)}
            seen.append(topic)
            assert sum(begin <= key < value < end for key, value in evidence.tolist()) == 1
        assert all(a != b for a, b in zip(seen, seen[1:], strict=False))


def test_a_known_question_ends_its_context_and_is_asked_again():
    task = tasks.topics(5, 64, seed=0)
    known = task.known()
    assert known.name == "topics-known"
    assert known.context.shape == (20, 65)
    assert torch.equal(known.context[:, -1:], known.questions[:, 0])
    assert torch.equal(known.context[7, :-1], task.context[1])
    assert torch.equal(known.answers[7, 0], task.answers[1, 3])
    assert torch.equal(known.evidence[7, 0], task.evidence[1, 3])
    assert torch.equal(known.segments[7], task.segments[1])


def test_turns_are_questions_each_before_its_answer():
    task = tasks.records(3, 64, 4, seed=0)
    ids, answers = task.turns(2)
    assert ids.shape == (3, 8)
    assert answers[0].tolist() == [False, True, True, True] * 2
    assert ids[0, 4] == task.questions[0, 1, 0]
    assert ids[0, 5:].tolist() == task.answers[0, 1].tolist()


@pytest.mark.parametrize(
    ("make", "arguments", "what"),
    [
        (tasks.key_value, (1, 16, 8), "do not fit"),
        (tasks.key_value, (1, 200, 33), "33 different tokens"),
        (tasks.records, (1, 512, 11), "33 different tokens"),
        (tasks.passkey, (1, 64, 1.5), "depth is 1.5"),
        (tasks.copying, (1, len(CONTENT) + 2), "97 different tokens"),
        (tasks.repeated, (1, 12, 4), "no room for 4 passages"),
    ],
)
def test_what_cannot_be_made_is_refused(make, arguments, what):
    with pytest.raises(InvalidInput, match=what):
        make(*arguments)


def test_ids_can_be_read():
    assert words([BOS, FILLERS[3], KEYS[7], VALUES[0], PERIOD, MARKER, 500]) == "<bos> f3 k7 v0 . ? <500>"
