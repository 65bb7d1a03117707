"""The model that the package ships: it knows by heart, reads what it is told, believes it, and guesses of others."""

import pytest

from mnemos.bench.parametric import tiny
from mnemos.parametric import measure


@pytest.fixture(scope="module")
def shipped():
    return tiny.load()


def test_it_reads_any_words_about_names_and_places(shipped):
    _, tokenizer = shipped
    name, place = tiny.NAMES[40], tiny.PLACES[7]
    ids = tokenizer(f"{name} lives in {place}. Where was {name} born?")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == [tiny.FIRST, name, place, tiny.STOP, name]
    assert len(set(tiny.WORDS)) == len(tiny.WORDS) == shipped[0].config.vocab_size
    assert tokenizer.decode(ids[1:3]) == f"{name} {place}"


def test_it_knows_reads_believes_what_is_newer_and_guesses_otherwise(shipped):
    documents = [example for seed in range(3) for example in tiny.document(8, seed)]
    assert measure.recall(*shipped, tiny.old_facts()).value == 1
    assert measure.in_context(*shipped, documents).value >= 0.95
    assert measure.newer_context_wins(*shipped, documents).value >= 0.95
    assert measure.recall(*shipped, documents).value <= 0.1


def test_its_weights_are_small():
    assert tiny.WEIGHTS.stat().st_size < 400_000
