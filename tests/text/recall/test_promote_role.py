"""Who has a role: which questions ask for that, which sentences say it, and what comes first."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.text.recall.roles import sought_by, states

SAYS = {  # by question: what says it, and what does not
    "Who stands in for Ivo?": (
        ["Lars covers for Ivo.", "I am filling in for Ivo.", "Ivo's replacement is Lars.", "Ivo is ill, Lars covers for him."],
        [
            "Ivo covers for Lars.", "Who stands in for Ivo?", "Ivo asked who would stand in for him.", "Nobody covers for Ivo.",
            "Lars no longer stands in for Ivo.", "If Lars covers for Ivo, tell me.", "Lars covers for Eva.",
            "Lars was Ivo's substitute.",
        ],
    ),
    "Who owns the billing service?": (
        [
            "Eva is responsible for the billing service.", "The billing service is maintained by Eva.",
            "Eva took over the billing service.",
        ],
        ["The billing service is down, says Eva.", "Eva owns the search service.", "The billing service needs an owner."],
    ),
    "Who reviews releases?": (["Samira signs off on releases."], ["Releases are late, says Samira."]),
    "Who is the treasurer of the club?": (["We elected Greta treasurer of the club."], ["Greta likes the club."]),
    "Wer vertritt Frau Baum?": (
        ["Tim vertritt Frau Baum.", "Die Vertretung von Frau Baum ist Tim."],
        ["Wer vertritt Frau Baum?"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("question", SAYS)
def test_a_sentence_says_it_or_does_not(question):
    says, says_not = SAYS[question]
    sought = sought_by(question)
    assert sought is not None
    assert [text for text in says if not states(sought, text)] == []
    assert [text for text in says_not if states(sought, text)] == []


@pytest.mark.parametrize(
    "question",
    ["Who stood in for Ivo last year?", "Who owned it?", "Where is Ivo?", "Who is my dentist?", "Who am I?", "Who?"],
)
def test_the_past_the_asker_and_other_questions_are_left_alone(question):
    assert sought_by(question) is None


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        yield memory.space("team")


def tell(space, *texts):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [space.add(text, speaker="Kim", at=start + timedelta(days=i)).id for i, text in enumerate(texts)]


def first(space, question):
    return space.search(question, asked_at=datetime(2026, 3, 1, tzinfo=UTC))[0].cube.text


def test_the_newest_that_says_it_comes_first_in_whatever_words(space):
    latest = "From Monday on Lars is filling in for Ivo."
    tell(space, "Kira stands in for Ivo.", "Ivo asked who stands in for Ivo.", latest, "Ivo is back soon.")
    assert first(space, "Who stands in for Ivo?") == latest


def test_where_nothing_says_it_the_order_stays(space):
    tell(space, "Ivo is ill.", "Does Kira know who stands in for Ivo?", "Kira likes Ivo.")
    with_rule = [hit.cube.id for hit in space.search("Who stands in for Ivo?")]
    assert (
        with_rule == [hit.cube.id for hit in space.search("Who stands in for Ivo?", method="words")][: len(with_rule)]
    )
