"""What every law of forgetting keeps: `pytest tests/contracts/test_laws.py -k NAME` checks one."""

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.registry import all_entries
from mnemos.text.base import Histories, Law
from mnemos.text.forget.policy import Policy
from mnemos.text.null import NoLaw

FEW = settings(max_examples=40)  # of each method: there are many
ENTRIES = all_entries("text", kind="law")
LAWS = {"null": NoLaw(), **{entry.name: entry.target() for entry in ENTRIES}}
DAY0 = 19_723.0  # 2024-01-01, in days since 1970


each = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())


@st.composite
def cases(draw):
    """Return (histories, now): up to 8 memories that may have been recalled, at a time after all of that."""
    rows = draw(st.lists(st.tuples(*[st.floats(0, 400)] * 3, st.integers(0, 30)), min_size=1, max_size=8))
    created = np.array([DAY0 + row[0] for row in rows])
    recalls = np.array([row[3] for row in rows], dtype=np.int64)
    n = len(rows)
    histories = Histories(
        created=created,
        recalled=created + np.where(recalls > 0, [row[1] for row in rows], 0.0),
        recalls=recalls,
        strength=1.0 + np.array([draw(st.floats(0, 20)) for _ in rows]),
        size=np.array([draw(st.integers(1, 20_000)) for _ in rows], dtype=np.int64),
        tier=np.array([draw(st.integers(0, 2)) for _ in rows], dtype=np.int64),
        importance=np.array([draw(st.floats(0, 10)) for _ in rows]),
    )
    return histories, float(DAY0 + 800 + draw(st.floats(0, 1_000)) + n)


def copied(histories):
    return Histories(*(getattr(histories, f.name).copy() for f in fields(histories)))


def same(a, b):
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@each
def test_it_is_a_law_and_a_frozen_data_class(law):
    assert isinstance(law, Law)
    assert is_dataclass(law)
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        law.anything = 1


@each
@FEW
@given(cases())
def test_retentions_are_finite_deterministic_and_change_nothing(law, case):
    histories, now = case
    before = copied(histories)
    found = law.retention(histories, now)
    assert found.shape == (len(histories),)
    assert np.isfinite(found).all()
    assert np.array_equal(found, law.retention(histories, now))
    assert np.array_equal(found, type(law)().retention(copied(histories), now))
    assert same(histories, before)


@each
@FEW
@given(cases())
def test_being_recalled_gives_numbers_changes_nothing_and_never_lowers_a_retention(law, case):
    histories, now = case
    before = copied(histories)
    strength, tier = law.reinforce(histories, now)
    assert same(histories, before)
    assert strength.shape == tier.shape == (len(histories),)
    assert np.isfinite(strength).all()
    assert tier.dtype == np.int64
    assert ((tier >= 0) & (tier <= 2)).all()
    after = replace(
        histories, strength=strength, tier=tier, recalls=histories.recalls + 1, recalled=np.full(len(histories), now)
    )
    for later in (0.0, 1.0, 30.0):
        was, is_now = law.retention(histories, now + later), law.retention(after, now + later)
        assert (is_now >= was - 1e-9 * np.maximum(np.abs(was), 1.0)).all()


@each
@FEW
@given(cases())
def test_a_memory_is_judged_for_itself(law, case):
    histories, now = case
    alone = histories.at(np.array([0]))
    assert law.retention(alone, now)[0] == law.retention(histories, now)[0]
    assert law.reinforce(alone, now)[0][0] == law.reinforce(histories, now)[0][0]


@each
def test_nobody_gets_nothing(law):
    nobody = Histories.of([])
    assert law.retention(nobody, DAY0).shape == (0,)
    assert [len(part) for part in law.reinforce(nobody, DAY0)] == [0, 0]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_policy_keeps_its_name_and_its_constants(entry):
    law = entry.target()
    policy = Policy.of(law)
    assert (policy.law, policy.constants) == (entry.name, {})
    assert Policy.from_json(policy.to_json()).make_law() == law
