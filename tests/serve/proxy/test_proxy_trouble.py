"""Errors of the memory do not break a chat through the proxy."""

import logging
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")
pytest.importorskip("openai", reason="needs mnemos-os[llm]")

import openai
from starlette.exceptions import HTTPException
from through import FACT, proxied

from mnemos import Space
from mnemos.errors import MnemosError, StoreBusy
from mnemos.serve import proxy as module
from mnemos.serve.conversation import Exchange


@pytest.mark.parametrize("where", ["recall", "store", "open"])
def test_trouble_with_the_memory_does_not_break_the_chat(memory, upstream, monkeypatch, caplog, where):
    def fail(*args, **more):
        raise StoreBusy(f"busy with {FACT}")

    memory.space("default").add(FACT)
    if where != "open":
        places = {"recall": "mnemos.serve.conversation.context", "store": "mnemos.space.Space.add_many"}
        monkeypatch.setattr(places[where], fail)
    with (
        caplog.at_level(logging.INFO),
        proxied(memory, upstream.url, open_space=fail if where == "open" else None) as talk,
    ):
        told, answer = talk.ask()
        assert answer.choices[0].message.content == "She lives in Lisbon."
        assert told == ("ok" if where == "store" else "failed")
        talk.settled()
    assert "StoreBusy" in caplog.text
    assert "Rita" not in caplog.text


def test_a_memory_that_hangs_delays_one_chat_a_little_and_the_next_not_at_all(memory, upstream):
    hang = threading.Event()

    def wait(request, name, right):
        hang.wait(20)
        raise StoreBusy("busy")

    with proxied(memory, upstream.url, open_space=wait, patience=0.3) as talk:
        times = []
        for _ in range(3):
            start = time.monotonic()
            assert talk.ask(extra_headers={"X-Mnemos-Mode": "read"})[0] == "failed"
            times.append(time.monotonic() - start)
        hang.set()
        assert times[0] < 2
        assert max(times[1:]) < 0.29


def test_storing_does_not_delay_the_answer(memory, upstream, monkeypatch):
    go = threading.Event()
    add_many = Space.add_many
    monkeypatch.setattr("mnemos.space.Space.add_many", lambda self, m: go.wait(20) and add_many(self, m))
    with proxied(memory, upstream.url) as talk:
        for i in range(3):  # over one connection
            talk.ask(f"I like {i} figs.")
        assert talk.stored() == []
        go.set()
        assert len(talk.stored(at_least=6)) == 6


def test_who_may_only_read_gets_what_is_known(memory, upstream):
    def reader(request, name, right):
        if right == "write":
            raise MnemosError("only reading")
        return memory.space(name)

    memory.space("default").add(FACT)
    with proxied(memory, upstream.url, open_space=reader) as talk:
        assert talk.ask()[0] == "failed"  # it will not be remembered
        assert FACT in upstream.memory[0]
        assert talk.ask(extra_headers={"X-Mnemos-Mode": "read"})[0] == "ok"
        assert len(talk.settled()) == 1


def test_a_locked_file_delays_nobody(tmp_path, memory, upstream):
    memory.space("default").add(FACT)
    other, held = memory.stores.open("default"), ExitStack()
    held.enter_context(other.transaction())
    with proxied(memory, upstream.url) as talk:
        start = time.monotonic()
        told, _ = talk.ask()
        assert time.monotonic() - start < 2.5
        assert told in ("ok", "failed")
        held.close()
        assert len(talk.stored(at_least=3)) == 3
    other.close()


def test_ids_do_not_give_away_texts(memory, upstream, tmp_path):
    with proxied(memory, upstream.url) as talk:
        talk.ask("I like figs.")
        talk.stored(at_least=2)
        ids = {c.id for c in memory.space("default").cubes().items}
    key = tmp_path / "serve" / "chats.key"
    assert key.stat().st_mode & 0o777 == 0o600
    data = {"messages": [{"role": "user", "content": "I like figs."}]}
    roots = {c.session.removeprefix("chat-") for c in memory.space("default").cubes().items}
    found = Exchange.read(data, "messages", key.read_bytes(), "default", None)
    guessed = Exchange.read(data, "messages", bytes(32), "default", None)
    assert ids & {i for root in roots for i in found.ids(root)}
    assert not ids & {i for root in roots for i in guessed.ids(root)}
    assert b"figs" not in b"".join(path.read_bytes() for path in (tmp_path / "serve").iterdir())


def test_reading_does_not_make_a_space(talk):
    assert talk.ask(extra_headers={"X-Mnemos-Space": "none", "X-Mnemos-Mode": "read"})[0] == "failed"
    assert "none" not in talk.memory


def test_who_opens_spaces_may_refuse_and_may_give_a_context(memory, upstream):
    seen = []

    @contextmanager
    def guard(request, name, right):
        seen.append((request.headers["authorization"], name, right))
        if name == "secret":
            raise HTTPException(403, "this key may not.")
        yield memory.space(name)
        seen.append("closed")

    with proxied(memory, upstream.url, open_space=guard) as talk:
        assert talk.ask()[0] == "none"
        assert len(talk.stored(at_least=2)) == 2
        who = "Bearer their-key"
        read, write = (who, "default", "read"), (who, "default", "write")
        assert seen == [write, "closed", read, "closed", write, "closed"]
        with pytest.raises(openai.PermissionDeniedError, match="may not"):
            talk.ask(extra_headers={"X-Mnemos-Space": "secret"})
        assert len(upstream.got) == 1


def test_it_says_what_is_missing(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "fastapi", None)
    spec = importlib.util.spec_from_file_location("without", module.__file__)
    with pytest.raises(MnemosError, match=r"mnemos-os\[serve\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
