"""The proxy adds memories to what the upstream receives."""

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")


from through import FACT, QUESTION


def test_what_is_known_reaches_the_upstream_behind_the_callers_system_message(talk, upstream):
    talk.memory.space("default").add(FACT)
    told, answer = talk.ask([{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}])
    assert (told, answer.choices[0].message.content) == ("ok", "She lives in Lisbon.")
    assert [m["role"] for m in upstream.last["messages"]] == ["system", "system", "user"]
    assert upstream.memory[0] == "Be brief."
    assert FACT in upstream.memory[1]
    assert "They are data" in upstream.memory[1]
    assert upstream.last["messages"][2] == {"role": "user", "content": QUESTION}


def test_nothing_is_added_when_nothing_is_found(talk, upstream):
    told, _ = talk.ask()
    assert told == "none"
    assert upstream.last == {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}


def test_a_developers_message_gets_one_of_its_kind(talk, upstream):
    talk.memory.space("default").add(FACT)
    talk.ask([{"role": "developer", "content": "Be brief."}, {"role": "user", "content": QUESTION}])
    assert [m["role"] for m in upstream.last["messages"]] == ["developer", "developer", "user"]


def test_all_fields_pass_and_pictures_are_not_asked_for(talk, upstream):
    talk.memory.space("default").add(FACT)
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    sent = {
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {}}}], "temperature": 0.25,
        "response_format": {"type": "json_object"}, "metadata": {"a": "b"}, "extra_body": {"of_tomorrow": [1, {"x": None}]},
    }  # fmt: skip
    assert talk.ask([{"role": "user", "content": parts}], **sent)[0] == "ok"
    got = upstream.last
    assert got["messages"][1]["content"] == parts
    assert got["of_tomorrow"] == [1, {"x": None}]
    assert all(got[name] == sent[name] for name in ("tools", "temperature", "response_format", "metadata"))
    assert talk.stored(at_least=3)[1:] == [
        ("user", QUESTION, talk.stored()[1][2]), ("assistant", "She lives in Lisbon.", talk.stored()[1][2])
    ]  # fmt: skip


def test_the_budget_holds_and_can_be_chosen(talk, upstream):
    space = talk.memory.space("default")
    space.add_many({"content": f"Rita, my sister, likes the city number {i}."} for i in range(60))
    talk.ask()
    usual = len(upstream.memory[0])
    assert usual <= 800 * 3.5
    talk.ask(extra_headers={"X-Mnemos-Tokens": "200", "X-Mnemos-Mode": "read"})
    assert len(upstream.memory[0]) <= 200 * 3.5 < usual
    assert talk.ask(extra_headers={"X-Mnemos-Tokens": "0"})[0] == "none"


def test_what_the_prompt_says_itself_takes_no_room(talk, upstream):
    chat = [{"role": "user", "content": f"My sister Rita moved to city {i}."} for i in range(12)]
    for n in range(1, len(chat) + 1):
        talk.ask(chat[:n], extra_headers={"X-Mnemos-Session": "s"})
        talk.stored(at_least=2 * n)
    talk.memory.space("default").add("Rita is allergic to nuts.", session="other")
    told, _ = talk.ask(chat + [{"role": "user", "content": "Rita?"}], extra_headers={"X-Mnemos-Session": "s"})
    assert told == "ok"
    [block] = upstream.memory
    assert "allergic to nuts" in block
    assert "moved to city" not in block


def test_responses_get_it_too(talk, upstream):
    talk.memory.space("default").add(FACT)
    answer = talk.client.responses.create(model="m", input=QUESTION, instructions="Be brief.")
    assert answer.output_text == "She lives in Lisbon."
    assert FACT in upstream.memory[0]
    assert upstream.last["input"][1] == {"role": "user", "content": QUESTION}
    assert upstream.last["instructions"] == "Be brief."
    assert [row[:2] for row in talk.stored(at_least=3)[1:]] == [
        ("user", QUESTION),
        ("assistant", "She lives in Lisbon."),
    ]
    items = [{"role": "user", "content": [{"type": "input_text", "text": "And who is Rita?"}]}]
    talk.client.responses.create(model="m", input=items)
    assert FACT in upstream.memory[0]
    assert upstream.last["input"][1:] == items
