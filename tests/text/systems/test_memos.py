"""What layers of memory claim (MemOS, arXiv 2507.03724; AI-native memory, 2406.18312): conclusions beside what was said.

L0 is what was said, L1 what was concluded from it. The third layer, weights, and the way between the forms are checked in
tests/migrate.
"""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.text.recall.context import estimate_tokens

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
TOLD = (
    ("I live in {}.", ("Porto", "Ghent", "Riga")), ("I work at {}.", ("Acme", "Initech", "Globex")),
    ("My favourite color is {}.", ("teal", "ochre", "mauve")), ("My favourite food is {}.", ("ramen", "borscht", "paella")),
    ("My dog is called {}.", ("Rex", "Fido", "Luna")),
)  # fmt: skip


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory


def haystack(space, clock, needles, length):
    """Tell needles that change twice, far apart, in `length` turns of talk that have the words of the question."""
    for era in range(3):
        for i, (template, values) in enumerate(TOLD[:needles]):
            clock.now += timedelta(days=1)
            space.add(template.format(values[era]), speaker="Ana", session=f"e{era}.{i}")
        space.add_many(
            [
                {"content": f"Ana and I know about {n} herons, said Bo on walk {era}.{n}.", "speaker": "Bo", "session": f"w{n}"}
                for n in range(length // 3)
            ]
        )  # fmt: skip
    return [values[-1] for _, values in TOLD[:needles]]


def shares(space, question, answers):
    """Return the shares of answers in L1, and in L0 at the same number of tokens, and these tokens."""
    [conclusion] = space.search(question, k=1, kind="profile")
    tokens = estimate_tokens(conclusion.cube.text) + 120  # the head and tail of a prompt
    turns = space.search(question, k=10, include_derived=False)
    shown, left = "", tokens
    for hit in turns:
        left -= estimate_tokens(hit.cube.text)
        if left >= 0:
            shown += hit.cube.text
    return tuple(sum(a in text for a in answers) / len(answers) for text in (conclusion.cube.text, shown)), tokens


def test_a_conclusion_answers_what_needs_several_needles_where_turns_do_not(memory, clock):
    question = "What do you know about Ana?"
    l0 = {}
    for needles, length in ((2, 30), (5, 30), (5, 300)):
        space = memory.space(f"{needles}-{length}")
        answers = haystack(space, clock, needles, length)
        space.consolidate()
        (first, second), tokens = shares(space, question, answers)
        assert first == 1.0
        whole = sum(estimate_tokens(c.text) for c in space.cubes(limit=1_000).items)
        assert tokens < whole
        l0[needles, length] = second
    assert max(l0.values()) < 1.0
    assert l0[5, 300] <= l0[2, 30]


def test_a_conclusion_names_its_evidence_and_follows_it(memory, clock):
    space = memory.space("ana")
    haystack(space, clock, 3, 9)
    space.consolidate()
    [before] = space.cubes(kind="profile").items
    assert all(space.get(parent).text for parent in before.parents)
    clock.now += timedelta(days=1)
    space.add("I moved to Turin.", speaker="Ana")
    space.consolidate()
    [after] = space.cubes(kind="profile").items
    assert ("Turin" in after.text, "Riga" in after.text, after.version) == (True, False, 2)
    assert "Riga" in space.history(after.id)[0].text  # what was concluded before can be read again
