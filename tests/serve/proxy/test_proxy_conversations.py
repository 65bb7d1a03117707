"""Which conversation a chat belongs to: what is told is stored, always and with its time, and a repeated request once."""

import time
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

import openai
from starlette.responses import JSONResponse, StreamingResponse
from through import TOOL, proxied, responses_answer

from mnemos import Mnemos

T0 = datetime(2024, 3, 1, 9, tzinfo=UTC)
RETRY = {"X-Stainless-Retry-Count": "1"}
HEADACHE = "I have a headache today."


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory


class Chat:
    """A chat of a client that sends its whole history with every message."""

    def __init__(self, talk, upstream, **more):
        self.talk, self.upstream, self.more, self.history = talk, upstream, more, []

    def say(self, text, answer="Hello!"):
        self.history = [*self.history, {"role": "user", "content": text}]
        self.send(answer)

    def send(self, answer="Hello!", **more):
        self.upstream.answer = answer
        self.talk.ask(self.history, **{**self.more, **more})
        self.history = [*self.history, {"role": "assistant", "content": answer}]

    def repeat(self, **more):
        """Send the last request again."""
        self.history = self.history[:-1]
        self.send(**more)


def rows(talk, number):
    """Return what is stored once `number` messages are, and no more."""
    talk.stored(at_least=number)
    time.sleep(0.06)
    found = talk.stored()
    assert len(found) == number, found
    return found


def sessions(found):
    """Return the texts of each session, in order."""
    by = {}
    for _, text, session in found:
        by.setdefault(session, []).append(text)
    return list(by.values())


def break_off(talk, upstream, text):
    """Ask, and get half an answer."""

    async def half():
        yield 'data: {"choices": [{"index": 0, "delta": {"content": "Drink wa"}}]}\n\n'
        raise OSError("gone")

    upstream.answer = lambda: StreamingResponse(half(), media_type="text/event-stream")
    with pytest.raises(openai.APIError, match="broke off"):
        list(talk.client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], stream=True))


def test_an_opening_message_that_was_said_before_is_stored_with_its_own_time(talk, upstream, clock):
    for day in range(3):
        clock.now = T0 + timedelta(days=20 * day)
        Chat(talk, upstream).say(HEADACHE, "Drink water.")
        assert len(sessions(rows(talk, 2 * day + 2))) == day + 1
    said = [cube for cube in talk.memory.space("default").cubes() if cube.role == "user"]
    assert [cube.at for cube in said] == [T0 + timedelta(days=20 * day) for day in range(3)]


def test_two_chats_that_open_alike_are_two_sessions(talk, upstream):
    one, two = Chat(talk, upstream), Chat(talk, upstream)
    one.say("Hi")
    rows(talk, 2)
    two.say("Hi")
    rows(talk, 4)
    one.say("My dog is ill.", "Oh no.")
    rows(talk, 6)
    two.say("Book a flight.", "Where to?")
    rows(talk, 8)
    one.say("He is called Rex.", "Poor Rex.")
    rows(talk, 10)
    two.say("To Faro.", "Done.")
    assert sorted(sessions(rows(talk, 12))) == [
        ["Hi", "Hello!", "Book a flight.", "Where to?", "To Faro.", "Done."],
        ["Hi", "Hello!", "My dog is ill.", "Oh no.", "He is called Rex.", "Poor Rex."],
    ]


def test_the_same_words_after_the_same_greeting_on_another_day_are_stored(talk, upstream, clock):
    for day in range(3):
        clock.now = T0 + timedelta(days=day)
        chat = Chat(talk, upstream)
        chat.say("Hi")
        rows(talk, 4 * day + 2)
        chat.say("Took my pills.", "Good.")
        rows(talk, 4 * day + 4)
        chat.repeat(answer="Good.")  # the same request again
        assert sessions(rows(talk, 4 * day + 4)) == [["Hi", "Hello!", "Took my pills.", "Good."]] * (day + 1)


def test_a_request_that_is_repeated_stores_nothing_twice(talk, upstream, clock):
    chat = Chat(talk, upstream)
    chat.say("I like figs.")
    rows(talk, 2)
    chat.repeat(extra_headers=RETRY)
    rows(talk, 2)
    chat.say("And dates.")
    rows(talk, 4)
    clock.now += timedelta(days=7)
    chat.repeat()
    rows(talk, 4)
    chat.repeat(answer="Another answer.")
    assert sessions(rows(talk, 5)) == [["I like figs.", "Hello!", "And dates.", "Hello!", "Another answer."]]


def test_an_opening_message_whose_answer_failed_may_be_sent_again(talk, upstream, clock):
    break_off(talk, upstream, HEADACHE)
    rows(talk, 1)
    Chat(talk, upstream).say(HEADACHE, "Drink water.")
    assert len(sessions(rows(talk, 2))) == 1
    upstream.answer = lambda: JSONResponse({"error": {"message": "x"}}, 500)
    with pytest.raises(Exception, match="x"):
        talk.ask("Something else.")
    chat = Chat(talk, upstream)
    chat.say("Something else.")
    rows(talk, 4)
    break_off(talk, upstream, "I like figs.")
    rows(talk, 5)
    clock.now += timedelta(hours=1)
    Chat(talk, upstream).say("I like figs.")
    rows(talk, 7)


def test_an_answer_that_was_cut_off_continues_its_conversation(talk, upstream):
    break_off(talk, upstream, HEADACHE)
    rows(talk, 1)
    chat = Chat(talk, upstream)
    chat.history = [{"role": "user", "content": HEADACHE}, {"role": "assistant", "content": "Drink wa"}]
    chat.say("Go on.", "…ter.")
    assert sessions(rows(talk, 3)) == [[HEADACHE, "Go on.", "…ter."]]


def test_a_history_of_which_the_start_was_dropped_stays_in_its_session(talk, upstream):
    chat = Chat(talk, upstream)
    for n in range(6):
        chat.say(f"Number {n} is my lucky one.", f"Noted {n}.")
        rows(talk, 2 * n + 2)
        chat.history = chat.history[-2:]
    assert len(sessions(talk.stored())) == 1


def test_a_client_that_does_not_wait_stays_in_its_session(talk, upstream):
    chat = Chat(talk, upstream)
    for n in range(15):
        chat.say(f"Number {n} is my lucky one.", f"Noted {n}.")
    assert len(sessions(rows(talk, 30))) == 1


def test_an_edited_message_is_stored_in_the_same_session(talk, upstream):
    chat = Chat(talk, upstream)
    chat.say("Hi")
    rows(talk, 2)
    start = list(chat.history)
    chat.say("I like figs.")
    rows(talk, 4)
    chat.history = start
    chat.say("I like dates.")
    assert len(sessions(rows(talk, 6))) == 1


def test_a_named_session_is_kept_and_what_is_said_there_again_is_stored(talk, upstream, clock):
    named = {"extra_headers": {"X-Mnemos-Session": "diary"}}
    for day in range(4):
        clock.now = T0 + timedelta(days=day)
        for _ in range(2):  # the second is a repeated request
            Chat(talk, upstream, **named).say("Took my pills.", "Good.")
            found = rows(talk, 2 * day + 2)
    assert {session for *_, session in found} == {"diary"}


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"conversation_id": "c1"}},
        {"metadata": {"thread_id": "c1"}},
        {"extra_headers": {"X-OpenWebUI-Chat-Id": "c1"}},
    ],
)
def test_a_conversation_can_be_named_in_other_ways(talk, upstream, more):
    Chat(talk, upstream, **more).say("Hi")
    assert {session for *_, session in rows(talk, 2)} == {"c1"}


def test_users_of_one_client_are_kept_apart(talk, upstream):
    one, two = Chat(talk, upstream, user="one"), Chat(talk, upstream, user="two")
    for chat in (one, two):
        chat.say("Hi")
        rows(talk, 2 if chat is one else 4)
    one.say("My dog is ill.")
    rows(talk, 6)
    two.say("My dog is ill.")
    assert len(sessions(rows(talk, 8))) == 2


def test_conversations_outlast_a_restart(memory, upstream):
    with proxied(memory, upstream.url) as talk:
        chat = Chat(talk, upstream)
        chat.say("Hi")
        rows(talk, 2)
    with proxied(memory, upstream.url) as talk:
        chat.talk = talk
        chat.say("My dog is ill.")
        rows(talk, 4)
        chat.repeat()
        assert len(sessions(rows(talk, 4))) == 1


def test_the_results_of_tools_do_not_repeat_the_question(talk, upstream):
    for n in range(2):  # two chats, alike
        chat = [{"role": "user", "content": "Will it rain?"}]
        upstream.answer = TOOL
        talk.ask(chat)
        rows(talk, 2 * n + 1)
        upstream.answer = "It rains."
        chat += [{"role": "assistant", "content": None, "tool_calls": [TOOL]},
                 {"role": "tool", "tool_call_id": "c1", "content": "rain"}]  # fmt: skip
        talk.ask(chat)
        assert sessions(rows(talk, 2 * n + 2)) == [["Will it rain?", "It rains."]] * (n + 1)


def test_responses_that_continue_one_another_are_one_session(talk, upstream):
    ids = iter("abcd")

    def answer():
        return JSONResponse(responses_answer("Hello!")[0] | {"id": next(ids)})

    upstream.answer = answer
    first = talk.client.responses.create(model="m", input="Hi")
    rows(talk, 2)
    second = talk.client.responses.create(model="m", input="Hi")
    rows(talk, 4)
    talk.client.responses.create(model="m", input="My dog is ill.", previous_response_id=first.id)
    rows(talk, 6)
    talk.client.responses.create(model="m", input="Book a flight.", previous_response_id=second.id)
    assert sessions(rows(talk, 8)) == [
        ["Hi", "Hello!", "My dog is ill.", "Hello!"],
        ["Hi", "Hello!", "Book a flight.", "Hello!"],
    ]


def test_a_book_that_cannot_be_read_loses_no_message(talk, upstream, monkeypatch):
    from mnemos.errors import StoreError
    from mnemos.store.sqlite.chats import ChatTable

    def fail(*_):
        raise StoreError("gone")

    for name in ("find", "put"):
        monkeypatch.setattr(ChatTable, name, fail)
    chat = Chat(talk, upstream)
    chat.say("Hi")
    rows(talk, 2)
    chat.say("My dog is ill.")
    assert len(sessions(rows(talk, 4))) == 2
