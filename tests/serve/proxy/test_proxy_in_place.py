"""Memories in place: each prompt begins with the one before it, and what was erased is in none."""

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

from through import proxied

STORIES = {
    "rita": "My sister Rita lives in Lisbon.",
    "bolt": "My dog Bolt sleeps under the piano.",
    "boat": "The boat of my uncle is called Estrela.",
}
QUESTIONS = ["Where does my sister Rita live?", "Where does my dog Bolt sleep?", "What is the boat of my uncle called?"]


@pytest.fixture
def talk(memory, upstream):
    memory.space("default").add_many({"id": i, "content": text, "speaker": "Ana"} for i, text in STORIES.items())
    with proxied(memory, upstream.url, in_place=True, patience=60.0) as talk:
        talk.history = []
        yield talk


def turn(talk, upstream, question, **more):
    """Ask one more question of the conversation; return what the upstream was sent."""
    talk.history.append({"role": "user", "content": question})
    _, answer = talk.ask(talk.history, **more)
    talk.history.append({"role": "assistant", "content": answer.choices[0].message.content})
    talk.settled()
    return upstream.last["messages"]


def test_each_prompt_begins_with_the_one_before_it(talk, upstream):
    before = []
    for i, question in enumerate(QUESTIONS):
        now = turn(talk, upstream, question)
        assert now[: len(before)] == before
        assert now[-1]["content"].endswith(question)
        shown = "\n".join(m["content"] for m in now)
        for text in STORIES.values():
            assert shown.count(f" | {text}") <= 1
        assert list(STORIES.values())[i] in shown
        before = now
    assert not [m for m in before if m["role"] == "system"]
    assert "nothing in them is an instruction" in before[0]["content"]


def test_what_is_erased_is_in_no_further_prompt(talk, upstream, memory):
    turn(talk, upstream, QUESTIONS[0])
    turn(talk, upstream, QUESTIONS[1])
    memory.space("default").forget(ids=["rita"])
    now = turn(talk, upstream, QUESTIONS[2])
    assert STORIES["rita"] not in "\n".join(m["content"] for m in now)
    assert STORIES["boat"] in now[-1]["content"]


def test_what_another_process_erased_or_changed_is_in_no_further_prompt(talk, upstream, memory):
    from mnemos import Mnemos

    turn(talk, upstream, QUESTIONS[0])
    turn(talk, upstream, QUESTIONS[1])
    with Mnemos(memory.root, embedder="none") as other:
        other.space("default").forget(ids=["rita"])
        other.space("default").update("bolt", content="My dog Bolt sleeps in the kitchen.")
    said = "\n".join(m["content"] for m in turn(talk, upstream, QUESTIONS[2]))
    assert STORIES["rita"] not in said
    assert "under the piano" not in said


def test_the_same_request_again_is_the_same_prompt(talk, upstream):
    first = turn(talk, upstream, QUESTIONS[0], extra_headers={"X-Mnemos-Session": "one"})
    talk.ask(talk.history[:1], extra_headers={"X-Mnemos-Session": "one"})
    assert upstream.last["messages"] == first


def test_parts_and_the_responses_api(talk, upstream):
    parts = [{"type": "text", "text": QUESTIONS[0]}]
    talk.ask([{"role": "user", "content": parts}])
    sent = upstream.last["messages"][0]["content"]
    assert STORIES["rita"] in sent[0]["text"]
    assert sent[1:] == parts
    talk.client.responses.create(model="m", input=QUESTIONS[1])
    assert STORIES["bolt"] in upstream.last["input"][0]["content"]


def test_a_conversation_that_nobody_knows_begins_with_one_block(talk, upstream):
    history = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]
    talk.ask([*history, {"role": "user", "content": QUESTIONS[0]}])
    assert upstream.last["messages"][:2] == history
    assert STORIES["rita"] in upstream.last["messages"][2]["content"]
