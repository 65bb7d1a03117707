"""XQuAD's questions and gold, on small files in its format."""

import json

import pytest

from mnemos.bench.text import xquad
from mnemos.errors import InvalidInput


@pytest.fixture
def data(tmp_path):
    for language, context, asked in (("en", "The cat sat.", "Who sat?"), ("de", "Die Katze saß.", "Wer saß?")):
        qas = [{"id": "q1", "question": asked, "answers": [{"answer_start": 4, "text": "cat"}]}]
        other = {"context": f"{language}: something else", "qas": []}
        value = {"version": "1.1", "data": [{"paragraphs": [other, {"context": context, "qas": qas}]}]}
        (tmp_path / f"xquad.{language}.json").write_text(json.dumps(value), encoding="utf-8")
    return tmp_path


def test_each_language_is_asked_of_its_paragraphs_and_all_of_the_english_ones(data):
    german, english = xquad.load(data).haystacks
    assert [m["content"] for m in german.messages] == ["de: something else", "Die Katze saß."]
    assert [(q.text, q.category, q.split) for q in german.questions] == [("Wer saß?", "de", "same")]
    assert [(q.text, q.category, q.split) for q in english.questions] == [
        ("Who sat?", "en", "same"),
        ("Wer saß?", "de", "to-english"),
    ]


def test_the_gold_is_the_paragraph_by_a_number_that_all_languages_share(data):
    for haystack in xquad.load(data).haystacks:
        assert {q.gold["paragraph"] for q in haystack.questions} == {("0.1",)}
        assert [m["id"] for m in haystack.messages] == ["0.0", "0.1"]


def test_a_folder_without_its_files_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"xquad\.en\.json"):
        xquad.load(tmp_path)
