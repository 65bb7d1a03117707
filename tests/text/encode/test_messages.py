import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.text.encode.messages import MAX_BYTES, clean, to_draft


def test_chat_api_shape():
    draft = to_draft(
        {"role": "user", "name": "Ana", "content": [{"type": "text", "text": "Hello"}, {"type": "image_url", "image_url": "x"}],
         "timestamp": "2024-03-02T10:15:00+01:00", "tool_call_id": "t1"}
    )  # fmt: skip
    assert (draft.text, draft.speaker, draft.role) == ("Hello", "Ana", "user")
    assert draft.at == datetime(2024, 3, 2, 9, 15, tzinfo=UTC)
    assert draft.at.utcoffset() == timedelta(hours=1)
    assert draft.metadata == {"tool_call_id": "t1", "parts": [{"type": "image_url", "image_url": "x"}]}


def test_own_names_win_over_aliases_and_nothing_is_lost():
    draft = to_draft({"content": "a", "speaker": "Ana", "name": "Other"})
    assert (draft.speaker, draft.metadata) == ("Ana", {"name": "Other"})


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2024, 3, 2, 10), datetime(2024, 3, 2, 10, tzinfo=UTC)),
        (date(2024, 3, 2), datetime(2024, 3, 2, tzinfo=UTC)),
        ("2024-03-02T10:15Z", datetime(2024, 3, 2, 10, 15, tzinfo=UTC)),
        (1709374500, datetime(2024, 3, 2, 10, 15, tzinfo=UTC)),
        (datetime(2024, 3, 2, 1, tzinfo=timezone(timedelta(hours=9))), datetime(2024, 3, 1, 16, tzinfo=UTC)),
    ],
)
def test_times_of_every_kind(at, expected):
    assert to_draft({"content": "a", "at": at}).at == expected


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("text", "expected a dict"),
        ({}, "no 'content'"),
        ({"content": ""}, "empty"),
        ({"content": " \n\t"}, "empty"),
        ({"content": 7}, "content is int"),
        ({"content": "a" * (MAX_BYTES + 1)}, "limit"),
        ({"content": "a", "at": "the day after never"}, "at:"),
        ({"content": "a", "at": datetime.max}, "year 9999"),
        ({"content": "a", "speaker": ["x"]}, "speaker is list"),
        ({"content": "a", "session": "s" * 1001}, "session has 1001"),
        ({"content": "a", "metadata": [1]}, "metadata is list"),
        ({"content": "a", "metadata": {"x": float("nan")}}, "JSON"),
        ({"content": "a", "metadata": {"x": object()}}, "JSON"),
        ({"content": "a", "metadata": {1: 2}}, "not a string"),
        ({1: "a", "content": "a"}, "not a string"),
    ],
)
def test_refusals_name_the_place_and_the_field(message, reason):
    with pytest.raises(InvalidInput, match=r"messages\[3\]") as caught:
        to_draft(message, where="messages[3]")
    assert reason in str(caught.value)


def test_metadata_is_copied_and_deep_nesting_is_refused():
    metadata = {"a": {"b": [1]}}
    draft = to_draft({"content": "x", "metadata": metadata})
    metadata["a"]["b"].append(2)
    assert draft.metadata == {"a": {"b": [1]}}
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="JSON"):
        to_draft({"content": "x", "metadata": {"deep": deep}})


@given(st.text(alphabet=st.characters(codec=None), max_size=50))
def test_clean_text_can_be_encoded_and_good_text_is_untouched(text):
    cleaned = clean(text)
    cleaned.encode("utf-8")
    if not any(0xD800 <= ord(c) < 0xE000 for c in text):
        assert cleaned == text


@given(st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
       lambda c: st.lists(c, max_size=3)), max_size=5))  # fmt: skip
def test_any_json_metadata_passes_unchanged(metadata):
    assert to_draft({"content": "x", "metadata": metadata}).metadata == json.loads(json.dumps(metadata))
