"""bAbI's files: stories are cut where a new one begins, and a fact that stands alone is learned in a second."""

from pathlib import Path

import pytest
import torch

from mnemos.bench.neural import babi, babi_stories
from mnemos.bench.progress import SILENT
from mnemos.errors import InvalidInput

LINES = """1 Mary moved to the hall.
2 John went to the attic.
3 Where is Mary? \thall\t1
4 Mary moved to the attic.
5 Where is Mary? \tattic\t4
1 John went to the hall.
2 Where is John? \thall\t1""".splitlines()


def test_a_story_ends_where_lines_are_numbered_from_1_again():
    asked = list(babi_stories.read(LINES))
    assert [one.answer for one in asked] == ["hall", "attic", "hall"]
    assert [len(one.story) for one in asked] == [2, 3, 1]
    assert asked[2].story == (("john", "went", "to", "the", "hall"),)
    assert asked[1].question == ("where", "is", "mary")


def made(folder: Path) -> Path:
    """Write a task of 12 stories: where one of three people is, who moved once each."""
    places, people = ("hall", "attic", "barn"), ("Mary", "John", "Ann")
    lines = []
    for story in range(12):
        told = [f"{who} moved to the {places[(story + i) % 3]}." for i, who in enumerate(people)]
        lines += [f"{n} {text}" for n, text in enumerate(told, 1)]
        lines.append(f"4 Where is {people[story // 3 % 3]}? \t{places[(story + story // 3) % 3]}\t1")
    for size in babi.SIZES.values():
        (folder / size).mkdir()
        for split in ("train", "test"):
            (folder / size / f"qa1_made_{split}.txt").write_text("\n".join(lines))
    return folder


def test_bags_and_words_are_those_of_the_story(tmp_path):
    train, test, vocabulary = babi_stories.prepared(made(tmp_path) / "en", 1)
    assert train.facts.shape == (12, 3, vocabulary)
    assert train.real.all()
    assert (train.facts.sum(-1) == 5).all()  # "mary moved to the hall"
    assert train.tokens.shape == (12, 3 * 5 + 3)
    assert (train.tokens > 0).all()
    bags = torch.zeros(12, vocabulary).scatter_add_(1, train.tokens, torch.ones(12, 18))
    torch.testing.assert_close(bags, train.facts.sum(1) + train.questions)
    assert torch.equal(train.answers, test.answers)


def test_facts_that_stand_alone_are_learned_and_the_mean_is_over_tasks(tmp_path):
    result = babi.run(babi.Options(made(tmp_path), (1,), ("1k",), steps=100, seeds=1), SILENT)
    rows = result["parts"]["1k"]
    assert set(rows) == set(babi.MODELS)
    assert rows["1 hop"]["task 1 %"] < 0.1
    assert rows["1 hop"]["mean %"] == rows["1 hop"]["task 1 %"]


def test_a_folder_without_the_task_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="qa7"):
        babi_stories.load(made(tmp_path) / "en", 7)
