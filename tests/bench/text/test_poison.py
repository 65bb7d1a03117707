"""The benchmark of poisoned memories: halves that do not meet, the same figures for a seed, defences that help."""

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import poison, poison_texts
from mnemos.guard.instructions import looks_like_instructions


@pytest.fixture(scope="module")
def result():
    return poison.run(poison.Options(seed=1, count=40), SILENT)


def test_the_halves_share_nothing_and_leave_nothing_out():
    for items in (poison_texts.ORDERS, poison_texts.FALSE, poison_texts.OUTLIERS, poison_texts.OBFUSCATIONS):
        dev, test = poison_texts.half(items, "dev"), poison_texts.half(items, "test")
        assert not set(dev) & set(test)
        assert set(dev) | set(test) == set(items)
    assert len({*poison_texts.ORDERS, *poison_texts.FALSE, *poison_texts.OUTLIERS}) >= 40


def test_every_order_of_the_development_half_is_recognised_plain_and_disguised():
    values = {"s": "Ana", "a": "dentist", "f": "Dr. Ember", "v": "Dr. Dune"}
    for template in poison_texts.half(poison_texts.ORDERS, "dev"):
        assert looks_like_instructions(template.format(**values)), template
        if template.isascii():
            for disguise in poison_texts.half(poison_texts.OBFUSCATIONS, "dev"):
                assert looks_like_instructions(disguise(template.format(**values))), template


def test_benign_texts_are_no_orders():
    values = {"s": "Ana", "v": "Northwind Bank"}
    for question, _, statements, notes in poison_texts.TOPICS.values():
        for text in (question, *statements, *notes):
            assert looks_like_instructions(text.format(**values)) is None


def test_a_seed_gives_the_same_figures():
    small = poison.Options(seed=1, count=10)
    assert poison.run(small, SILENT) == poison.run(small, SILENT)


def test_poison_is_a_tenth_to_a_fifth_and_all_of_it_is_shown_undefended(result):
    assert 0.1 <= result["poison_share"] <= 0.2
    assert result["undefended"]["poisoned_shown"] == 1.0
    assert result["undefended"]["benign_lost"] == 0.0


def test_each_defence_helps_and_both_help_most(result):
    both = result["both"]["poisoned_shown"]
    assert both <= min(result["instructions"]["poisoned_shown"], result["consensus"]["poisoned_shown"])
    assert both <= 0.2
    assert result["both"]["benign_lost"] <= 0.04


def test_lessons_help_when_the_truth_is_out_of_sight(result):
    without, with_lessons = result["second_without_lessons"], result["second_with_lessons"]
    assert with_lessons["by_family"]["false"] <= without["by_family"]["false"] / 2
