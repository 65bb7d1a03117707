"""Chats through the proxy are stored exactly once."""

import json
from datetime import timedelta

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

import openai
from through import FACT, QUESTION, TOOL, chat_answer

from mnemos.serve.chat_format import answer_of
from mnemos.serve.conversation import Exchange


def test_spaces_sessions_and_times(talk, upstream):
    talk.ask("I like figs.", extra_headers={"X-Mnemos-Space": "caf%C3%A9", "X-Mnemos-Session": "s1"})
    answer = "She lives in Lisbon."
    assert talk.stored("café", 2) == [("user", "I like figs.", "s1"), ("assistant", answer, "s1")]
    first, second = talk.memory.space("café").cubes().items
    assert first.at <= second.at
    assert "default" not in talk.memory
    names = {n.lower() for n in upstream.got[-1][1]}
    assert not [n for n in names if n.startswith("x-mnemos")]


def test_without_a_session_a_chat_has_one_of_its_own(talk):
    talk.ask("I like figs.")
    talk.ask("I like dates.")
    rows = talk.stored(at_least=4)
    assert len({session for *_, session in rows}) == 2
    assert all(session.startswith("chat-") for *_, session in rows)


def test_a_history_sent_again_is_stored_once(talk):
    chat = [{"role": "system", "content": "It is nine."}, {"role": "user", "content": "I like figs."}]
    talk.ask(chat)
    talk.stored(at_least=2)
    talk.ask([{"role": "system", "content": "It is ten."}, *chat[1:]], extra_headers={"X-Stainless-Retry-Count": "1"})
    assert len(talk.settled()) == 2
    chat += [{"role": "assistant", "content": "She lives in Lisbon."}, {"role": "user", "content": "I like figs."}]
    talk.ask(chat)  # said again, and answered again: that is more
    talk.stored(at_least=4)
    talk.ask(chat)
    assert len(talk.settled()) == 4
    assert len({session for *_, session in talk.stored()}) == 1


def test_what_was_erased_stays_away(talk):
    talk.ask("I like figs.")
    talk.stored(at_least=2)
    talk.memory.space("default").forget(query="figs")
    talk.ask("I like figs.", extra_headers={"X-Stainless-Retry-Count": "1"})
    chat = [{"role": "user", "content": "I like figs."}, {"role": "assistant", "content": "She lives in Lisbon."}]
    talk.ask([*chat, {"role": "user", "content": "Thanks."}])
    talk.stored(at_least=3)
    assert [row[:2] for row in talk.settled()] == [
        ("assistant", "She lives in Lisbon."), ("user", "Thanks."), ("assistant", "She lives in Lisbon."),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["off", "read", "read-write"])
def test_modes(talk, upstream, mode):
    talk.memory.space("default").add(FACT)
    told, _ = talk.ask(extra_headers={"X-Mnemos-Mode": mode})
    assert told == ("none" if mode == "off" else "ok")
    assert len(upstream.memory) == (0 if mode == "off" else 1)
    rows = talk.stored(at_least=3) if mode == "read-write" else talk.settled()
    assert len(rows) == (3 if mode == "read-write" else 1)


def test_the_zone_of_the_user_dates_what_is_told(talk, upstream):
    talk.ask(
        [{"role": "user", "content": "Today I saw a fox."}], extra_headers={"X-Mnemos-Timezone": "Pacific/Kiritimati"}
    )
    talk.stored(at_least=2)
    told = {cube.role: cube for cube in talk.memory.space("default").cubes()}
    assert {cube.timezone for cube in told.values()} == {"Pacific/Kiritimati"}
    assert told["user"].at.utcoffset() == timedelta(hours=14)
    talk.ask(
        [{"role": "user", "content": "Did I see a fox?"}], extra_headers={"X-Mnemos-Timezone": "Pacific/Kiritimati"}
    )
    assert "+14:00" in upstream.memory[-1]


@pytest.mark.parametrize("headers", [{"X-Mnemos-Mode": "readonly"}, {"X-Mnemos-Tokens": "-1"}, {"X-Mnemos-Tokens": "9" * 9},
                                     {"X-Mnemos-Timezone": "Tokyo"},
                                     {"X-Mnemos-Space": "%ff"}, {"X-Mnemos-Session": "s" * 1001}])  # fmt: skip
def test_what_is_mistyped_is_refused(talk, upstream, headers):
    with pytest.raises(openai.BadRequestError, match="X-Mnemos-") as caught:
        talk.ask(extra_headers=headers)
    assert caught.value.code == "invalid_header"
    assert not upstream.got


@pytest.mark.parametrize("streamed", [False, True])
def test_calls_of_tools_are_not_stored(talk, upstream, streamed):
    upstream.answer = TOOL
    answer = talk.client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": QUESTION}], stream=streamed
    )
    if streamed:
        list(answer)
    talk.client.responses.create(model="m", input=QUESTION)
    assert {row[:2] for row in talk.settled()} == {("user", QUESTION)}


def test_after_the_tool_the_answer_is_stored_and_the_question_once(talk, upstream):
    chat = [{"role": "user", "content": QUESTION}]
    upstream.answer = TOOL
    talk.ask(chat)
    talk.stored(at_least=1)
    upstream.answer = "It rains."
    chat += [{"role": "assistant", "content": None, "tool_calls": [TOOL]},
             {"role": "tool", "tool_call_id": "c1", "content": "rain"}]  # fmt: skip
    talk.ask(chat)
    assert [row[:2] for row in talk.stored(at_least=2)] == [("user", QUESTION), ("assistant", "It rains.")]


def test_empty_answers_are_not_stored(talk, upstream):
    upstream.answer = "  "
    talk.ask()
    assert [row[0] for row in talk.settled()] == ["user"]


def test_answers_that_were_cut_off_or_failed_are_none():
    whole, events = chat_answer("Hello")
    assert answer_of(False, json.dumps(whole).encode()) == "Hello"
    raw = [e if isinstance(e, str) else f"data: {json.dumps(e)}\n\n" for e in events]
    assert answer_of(True, "".join(raw).replace("\n", "\r\n").encode()) == "Hello"
    assert answer_of(True, "".join(raw[:3]).encode()) == ""
    assert answer_of(True, (": ping\n\n" + "".join(raw[:6])).encode()) == "Hello"
    assert answer_of(True, ("".join(raw[:3]) + 'data: {"error": {"message": "x"}}\n\n' + "".join(raw)).encode()) == ""
    search = {"type": "web_search_call"}
    said = [{"type": "message", "content": [{"type": "output_text", "text": t}]} for t in ("Let me see.", "Rain.")]
    assert answer_of(False, json.dumps({"output": [said[0], search, said[1]]}).encode()) == "Rain."
    assert answer_of(False, json.dumps({"status": "failed", "output": said}).encode()) == ""


def test_odd_requests_are_read():
    read = Exchange.read({"input": "yes", "conversation": {"id": "conv_1"}}, "input", b"key", "s", None)
    assert read.session == "conv_1"
    assert Exchange.read(json.loads('{"input": "\\ud800"}'), "input", b"key", "s", None).question == "\ufffd"
    for odd in ({}, {"input": None}, {"input": [None, 5, {"role": 5}]}, {"input": [{"role": "user", "content": None}]}):
        assert Exchange.read(odd, "input", b"key", "s", None).turns == ()
