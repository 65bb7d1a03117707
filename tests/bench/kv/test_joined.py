"""The benchmark of joined texts: its contexts, its score, and a run on a model of random weights."""

from __future__ import annotations

import json
import random

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.bench.kv import joined, joined_texts
from mnemos.bench.kv.joined_texts import Context
from mnemos.bench.progress import SILENT

SAMPLE = {
    "sample_id": "conv-1",
    "conversation": {
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [{"dia_id": f"D1:{i}", "speaker": "Ana", "text": f"Turn number {i}."} for i in range(1, 15)],
    },
    "qa": [
        {"question": f"What is said in turn {i}?", "answer": i, "evidence": [f"D1:{i}"], "category": 4}
        for i in range(1, 9)
    ]
    + [{"question": "What never happened?", "adversarial_answer": "x", "evidence": ["D1:1"], "category": 5}],
}


def test_the_evidence_of_every_question_is_among_the_texts():
    context = joined_texts.memories(SAMPLE, random.Random(3), questions=4, texts=7)
    assert len(context.texts) == 7
    assert len(set(context.texts)) == 7
    for ask, answer in context.asked:
        assert f"[2023-05-08] Ana: Turn number{answer}.\n" in context.texts
        assert f"turn{answer}?" in ask
    assert context == joined_texts.memories(SAMPLE, random.Random(3), questions=4, texts=7)


def test_every_fact_is_asked_for_and_stated_once(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(" ".join(f"This is sentence number {i} of the book, which says little." for i in range(60)))
    context = joined_texts.facts(joined_texts.prose(book), random.Random(1), 5)
    assert len(context.texts) == len(context.asked) == 5
    for text, (ask, answer) in zip(context.texts, context.asked, strict=True):
        assert ask.split("Answer: ")[1] + answer in text


def test_conversations_are_split_by_name(tmp_path):
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([SAMPLE, SAMPLE | {"sample_id": "conv-2"}]))
    for development, names in ((True, ["conv-2"]), (False, ["conv-1"])):
        assert [s["sample_id"] for s in joined_texts.conversations(path, ("conv-2",), development)] == names


def test_f1_counts_common_words():
    assert joined.f1("In May 2023.", "may 2023") == pytest.approx(0.8)
    assert joined.f1("no", "yes") == 0.0


class Letters:
    bos_token_id = 1

    def __call__(self, text, add_special_tokens=False):
        return {"input_ids": [3 + b % 96 for b in text.encode()]}

    def decode(self, ids):
        return " ".join(str(i) for i in ids)


def test_with_all_computed_again_every_answer_is_that_of_reading_together():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=99, hidden_size=32, intermediate_size=32, num_hidden_layers=2,
                                      num_attention_heads=2, num_key_value_heads=1)  # fmt: skip
    reader = joined.Reader(transformers.LlamaForCausalLM(config).eval(), Letters(), [1])
    context = Context(("One thing.", "Another thing.", "A third."), (("What?", " It"), ("And?", " One")))
    ids, ways = reader.ways(context, (0.0, 0.999))
    assert ids[0] == 1
    found = reader.answers(context, (0.0, 0.999), True, SILENT)
    assert list(found) == list(ways)
    assert all(answer.same for answer in found["99.9 %"])
    for one, other in zip(found["99.9 %"], found[joined.TOGETHER], strict=True):
        assert one.likelihood == pytest.approx(other.likelihood, abs=1e-4)
    assert [a.likelihood for a in found["0 %"]] != pytest.approx(
        [a.likelihood for a in found[joined.TOGETHER]], abs=1e-5
    )
