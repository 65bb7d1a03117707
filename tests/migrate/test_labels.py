"""A classifier of texts in a space: it learns from feedback, does not depend on the order, and forgets what is erased."""

import random
import subprocess
import sys

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput

pytest.importorskip("torch")
TOPICS = {
    "money": ("balance", "account", "euros", "savings", "credit"),
    "travel": ("train", "flight", "luggage", "ticket", "hotel"),
    "food": ("soup", "bread", "dinner", "recipe", "cheese"),
}


def examples(count=60, seed=0):
    rng, found = random.Random(seed), []
    for number in range(count):
        label = rng.choice(list(TOPICS))
        found.append((f"{number}: {rng.choice(TOPICS[label])} and {rng.choice(TOPICS[label])} please", label))
    return found


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="hashing:64") as memory:
        yield memory.space("ana")


def scores(labels, texts):
    """Scores by label: labels may be known in another order."""
    return [{label.name: label.score for label in found} for found in labels.predict_many(texts, k=9)]


def test_it_tells_texts_like_its_examples_and_says_nothing_before_any(space):
    labels = space.labels("topics")
    assert labels.predict("a train ticket") == []
    labels.learn_many(examples())
    for label, words in TOPICS.items():
        best = labels.predict(f"{words[0]} or {words[2]}?")[0]
        assert best.name == label
        assert best.score > 0.5
    assert sum(labels.counts().values()) == 60


def test_an_example_counts_from_the_next_question_on_and_a_correction_counts_instead(space):
    labels = space.labels("topics")
    labels.learn_many(examples())
    before = scores(labels, ["soup and bread please"])
    labels.learn("Soup of the day", "lunch")
    assert labels.predict("soup of the day")[0].name == "lunch"
    labels.learn("  soup of  the day", "food")
    assert "lunch" not in labels.counts()
    assert [label.name for label in labels.predict("soup of the day")][0] == "food"
    assert "lunch" not in scores(labels, ["soup of the day"])[0]
    assert before[0].keys() == {"money", "travel", "food"}


def test_the_order_of_examples_and_the_process_do_not_matter(tmp_path):
    asked, found = ["a flight and soup", "credit and cheese"], []
    for name, seed in (("a", 1), ("b", 2)):
        told = examples()
        random.Random(seed).shuffle(told)
        with Mnemos(tmp_path / name, embedder="hashing:64") as memory:
            labels = memory.space("ana").labels()
            for text, label in told[:20]:
                labels.learn(text, label)
                labels.predict("euros")  # weights in between
            labels.learn_many(told[20:])
            found.append(scores(labels, asked))
    assert found[0] == found[1]
    code = (
        "import sys; from mnemos import Mnemos; "
        "labels = Mnemos(sys.argv[1], embedder='hashing:64').space('ana').labels(); "
        "print([sorted((l.name, l.score) for l in found) for found in labels.predict_many(sys.argv[2:], k=9)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a"), *asked], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([sorted(row.items()) for row in found[0]])


def test_what_is_erased_was_never_learned(tmp_path):
    told, asked = examples(), ["a flight and soup", "credit and cheese", "secret pie"]
    with Mnemos(tmp_path / "root", embedder="hashing:64") as memory:
        never, ana = memory.space("never").labels(), memory.space("ana")
        never.learn_many(told)
        labels = ana.labels()
        labels.learn_many(told[:30])
        cube = ana.add("The secret pie of Rita.")
        learned = labels.learn(cube, "secrets")
        labels.learn("the secret pie", "food")
        labels.learn_many(told[30:])
        assert labels.predict("secret pie of Rita")[0].name == "secrets"
        ana.delete(cube.id)  # its example goes with it
        assert "secrets" not in labels.counts()
        ana.forget(query="secret pie")
        assert scores(labels, asked) == scores(never, asked)
        assert ana.labels() is labels
        with pytest.raises(InvalidInput, match="empty"):
            labels.learn("", "x")
        assert learned.kind == "label"


def test_examples_are_not_found_as_memories_and_names_are_apart(space):
    space.labels("a").learn("the train to Porto", "travel")
    space.labels("b").learn("the train to Porto", "trains")
    assert space.search("train to Porto") == []
    assert space.context("train to Porto").strip() == ""
    assert space.labels("a").counts() == {"travel": 1}
    assert space.labels("b").counts() == {"trains": 1}


def test_more_labels_than_there_was_room_for(space):
    labels = space.labels()
    for number in range(40):
        labels.learn(f"number {number} word{number}", f"label {number}")
        assert labels.predict(f"number {number} word{number}")[0].name == f"label {number}"
    assert labels.predict("number 3 word3")[0].name == "label 3"


def test_a_space_without_vectors_says_so(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory, pytest.raises(InvalidInput, match="no embedder"):
        memory.space("ana").labels()
