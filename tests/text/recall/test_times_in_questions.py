"""A question that names a time and a topic: what is of that time comes first among what is about the topic."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.text.recall.query import make_query
from mnemos.text.recall.signals import in_span

FIRST = datetime(2024, 5, 1, 8, tzinfo=UTC)
ASKED = datetime(2024, 7, 20, 10, tzinfo=UTC)
NOISE = ("I watered the plants.", "Lunch was soup and bread.", "The bus was late again.", "It rained all afternoon.",
         "Walked along the canal with Mia.", "Cleaned the windows upstairs.")  # fmt: skip
NOTES = {  # (day, text)
    "dentist": ((13, "The dentist filled a tooth."), (14, "The dentist took an X-ray."),
                (20, "The dentist said to come back in spring.")),
    "budget": ((8, "The budget was cut by a tenth."), (30, "The budget got a line for travel.")),
    "Heizung": ((5, "Die Heizung verlor wieder Druck."), (33, "Die Heizung wurde gewartet.")),
    "chaudière": ((36, "La chaudière a été réparée."), (19, "La chaudière fait du bruit.")),
}  # fmt: skip


@pytest.fixture(scope="module")
def diary(tmp_path_factory):
    days = [FIRST + timedelta(days=day) for day in range(45)]
    told = [{"text": text, "at": day + timedelta(minutes=20 * i)} for day in days for i, text in enumerate(NOISE)]
    told += [{"text": text, "at": days[day] + timedelta(hours=4)} for notes in NOTES.values() for day, text in notes]
    with Mnemos(tmp_path_factory.mktemp("diary"), timezone="UTC") as memory:
        space = memory.space("me")
        space.add_many(sorted(told, key=lambda message: message["at"]))
        yield space


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("What happened with the dentist on 15 May?", "The dentist took an X-ray."),
        ("What did I note about the dentist on May 14, 2024?", "The dentist filled a tooth."),
        ("dentist, 21 May 2024", "The dentist said to come back in spring."),
        ("Tell me about the dentist on 2024-05-15.", "The dentist took an X-ray."),
        ("What was the news about the budget in the week of 9 May?", "The budget was cut by a tenth."),
        ("What happened to the budget on 31 May?", "The budget got a line for travel."),
        ("Was war am 6. Mai 2024 mit der Heizung?", "Die Heizung verlor wieder Druck."),
        ("Was habe ich am 3. Juni 2024 zur Heizung notiert?", "Die Heizung wurde gewartet."),
        ("Qu'est-ce qui s'est passé avec la chaudière le 6 juin 2024 ?", "La chaudière a été réparée."),
    ],
)
@pytest.mark.filterwarnings("ignore::mnemos.errors.UnknownLanguage")
def test_the_note_on_the_topic_of_that_day_is_first(diary, question, first):
    assert diary.search(question, 3, asked_at=ASKED)[0].cube.text == first


def test_a_broad_date_in_a_text_counts_by_its_share(tmp_path):
    with Mnemos(tmp_path, embedder="none", timezone="UTC") as memory:
        space = memory.space("s")
        space.add_many([
            {"text": "On 4 May 2024 we met.", "at": "2024-06-20"},
            {"text": "In May 2024 we met.", "at": "2024-06-21"},
            {"text": "We met.", "at": "2024-05-04"},
            {"text": "We meet again.", "at": "2024-06-22"},
        ])  # fmt: skip
        day = make_query("Whom did we meet on 4 May 2024?", None, ASKED).span
        assert in_span(space.text.corpus(), day) == pytest.approx([1, 1 / 31, 1, 0], abs=1e-6)
        month = make_query("Whom did we meet in May 2024?", None, ASKED).span
        assert in_span(space.text.corpus(), month) == pytest.approx([1, 1, 1, 0])
        assert in_span(space.text.corpus(), month, told=False) == pytest.approx([1, 1, 0, 0])


@pytest.mark.parametrize(
    ("question", "plans"),
    [
        ("What could I do for exercise this month?", True),
        ("Can you suggest a film for this weekend?", True),
        ("Where should we eat tomorrow?", True),
        ("What did you suggest this week?", False),
        ("What have I done for exercise this month?", False),
        ("What could I do in May 2024?", False),  # over
        ("What could I do for exercise?", False),  # names no time
    ],
)
def test_what_was_told_in_the_time_of_a_plan_is_no_answer(question, plans):
    assert make_query(question, None, ASKED).plans is plans


def test_advice_for_this_month_comes_from_what_bears_on_it_not_from_what_was_told_this_month(tmp_path):
    with Mnemos(tmp_path, timezone="UTC") as memory:
        space = memory.space("me")
        space.add("I broke my ankle on the stairs.", at="2024-03-02")
        space.add_many([{"text": text, "at": ASKED - timedelta(days=2, hours=i)} for i, text in enumerate(NOISE)])
        hits = space.search("What could I do for exercise this month?", 3, asked_at=ASKED)
        assert "I broke my ankle on the stairs." in [hit.cube.text for hit in hits]
        assert all("time" not in hit.why for hit in hits)


@pytest.mark.parametrize(
    "question",
    [
        "What was the status of ORB-88 on 10 March 2024?",
        "Which status did ORB-88 have on March 10, 2024?",
        "Was war der Status von ORB-88 am 10. März 2024?",
    ],
)
@pytest.mark.filterwarnings("ignore::mnemos.errors.UnknownLanguage")
def test_what_was_so_on_a_day_was_said_before_it(tmp_path, question):
    told = [("ORB-88 was created. Status: open", 4), ("ORB-88: status changed from open to blocked", 7),
            ("ORB-88: priority changed from low to high", 9), ("ORB-88: status changed from blocked to done", 14)]  # fmt: skip
    told += [(f"ORB-{n}: status changed from open to reopened", 10) for n in range(10, 18)]
    with Mnemos(tmp_path, timezone="UTC") as memory:
        space = memory.space("team")
        space.add_many([{"text": text, "at": f"2024-03-{day:02}T10:00", "speaker": "tracker"} for text, day in told])
        found = [hit.cube.text for hit in space.search(question, 4, asked_at=ASKED)]
        about = [text for text in found if "ORB-88" in text]
        assert "ORB-88: status changed from open to blocked" in found[:2]
        assert found[: len(about)] == about  # before what else was said on that day


def test_without_a_known_word_the_form_of_a_text_counts_nothing(tmp_path):
    with Mnemos(tmp_path, embedder="hashing:64", timezone="UTC") as memory:
        space = memory.space("s")
        space.add_many([{"text": text, "session": f"{i}"} for i, text in enumerate(NOISE)])
        shapes = {"opening", "length", "long", "question", "number"}
        unknown = space.search("Shall I adopt kittens?", 5)
        known = space.search("Shall I clean the windows?", 5)
        assert not any(shapes & hit.why.keys() for hit in unknown)
        assert any(shapes & hit.why.keys() for hit in known)
        assert np.isfinite([hit.score for hit in unknown]).all()
