"""Searches that need not wait run on the event loop; others run in a thread and block nobody."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")

import httpx
from fastapi.routing import APIRoute

from mnemos import Mnemos
from mnemos.errors import StoreBusy
from mnemos.serve import dispatch
from mnemos.serve.app import create_app
from mnemos.serve.keys import KeyStore
from mnemos.text.recall import view
from mnemos.text.search import try_lock

TEXTS = (
    "Ana's sister lives in Lisbon.",
    "Ben plays the cello.",
    "The market opens on Saturdays.",
    "Ana sold the blue car.",
)
QUESTIONS = ("Where does Ana's sister live?", "Who plays the cello?", "When is the market?")


@pytest.fixture(params=["none", "bundled"])
def memory(request, tmp_path):
    with Mnemos(tmp_path, embedder=request.param) as memory:
        memory.space("s").add_many([{"content": text} for text in TEXTS], reconcile=False)
        yield memory


async def sent(client, what):
    if what is None:
        return await client.get("/health")
    if isinstance(what, tuple):  # a body and its media type
        return await client.post("/v1/spaces/s/search", content=what[0], headers={"Content-Type": what[1]})
    return await client.post("/v1/spaces/s/search", json={"query": what, "k": 3})


@contextmanager
def server(memory):
    """Yield a function that sends questions concurrently and returns (question, response) in the order of the responses."""
    keys = KeyStore.under(memory.root)
    token, _ = keys.add("all", spaces=["s"], rights=["read"])
    app = create_app(memory, keys)

    async def run(*asked):
        transport = httpx.ASGITransport(app=app)
        done = []
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers={"Authorization": f"Bearer {token}"}
        ) as client:

            async def one(what):
                done.append((what, await sent(client, what)))

            await asyncio.gather(*(one(what) for what in asked))
        return done

    yield lambda *asked: asyncio.run(run(*asked))
    keys.close()


@pytest.fixture
def ask(memory):
    with server(memory) as ask:
        yield ask


@pytest.fixture
def at_once(monkeypatch):
    """Count the searches that were answered on the event loop, and those that were not."""
    counts = {True: 0, False: 0}
    before = dispatch._without_waiting

    def counted(access, body):
        answer = before(access, body)
        counts[answer is not None] += 1
        return answer

    monkeypatch.setattr(dispatch, "_without_waiting", counted)
    return counts


def test_answers_are_those_of_the_space_wherever_they_are_made(memory, ask, at_once):
    for _ in range(3):
        for question, answer in ask(*QUESTIONS):
            found = memory.space("s").search(question, 3)
            hits = answer.json()["hits"]
            assert [hit["cube"]["id"] for hit in hits] == [hit.cube.id for hit in found]
            assert [hit["score"] for hit in hits] == pytest.approx([hit.score for hit in found])
    assert at_once[True] >= 6  # the first search reads the view in a thread


def test_a_question_that_was_never_asked_is_answered_at_once_when_its_vector_is_there(memory, ask, at_once):
    ask(*QUESTIONS)
    before = dict(at_once)
    ask("Which car did Ana sell?")
    assert at_once[True] == before[True] + 1
    assert at_once[False] == before[False] + (memory.embedder is not None)  # the question had to be embedded first


def test_who_writes_holds_up_searches_and_nothing_else(memory, ask):
    ask(*QUESTIONS)
    held, go = threading.Event(), threading.Event()

    def write():
        with memory.space("s").store.transaction():
            held.set()
            go.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    assert held.wait(20)
    threading.Timer(0.5, go.set).start()
    done = ask(*QUESTIONS, None)
    writer.join()
    assert done[0][0] is None  # the server kept serving others
    assert [answer.status_code for _, answer in done] == [200] * 4


def test_what_takes_a_wait_is_told(memory, monkeypatch):
    space = memory.space("s")

    def ready(question="Who plays the cello?"):
        with try_lock(space.text, question) as is_ready:
            return is_ready

    assert not ready()  # the view has not been read
    space.search("Who plays the cello?")
    assert ready()
    assert ready("Who sings?") is (memory.embedder is None)
    space.add("Carla sings.", reconcile=False)
    assert not ready()  # it is not up to date
    space.search("Who plays the cello?")
    assert ready()
    monkeypatch.setattr(view, "LIGHT", 4)
    assert not ready()  # it is large
    monkeypatch.setattr(view, "LIGHT", 5)
    assert ready()
    monkeypatch.setattr("mnemos.text.forget.strengthen.WAITING", 10)
    assert not ready()  # the recalls of one more search would be written


def test_another_thread_at_work_is_not_waited_for(memory):
    space = memory.space("s")
    space.search("Who plays the cello?")
    seen = []

    def look():
        with try_lock(space.text, "Who plays the cello?") as ready:
            seen.append(ready)

    for hold in (space.store.transaction(write=False), space.text.view.try_lock(None, None)):
        with hold:
            other = threading.Thread(target=look)
            other.start()
            other.join(20)
    look()
    assert seen == [False, False, True]


def test_another_process_that_locks_the_file_is_not_waited_for(memory):
    space = memory.space("s")
    space.search("Who plays the cello?")
    with (
        Mnemos(memory.root, embedder="none") as other,
        other.space("s").store.transaction(),
        try_lock(space.text, "Who plays the cello?") as ready,
    ):
        assert ready
        with pytest.raises(StoreBusy), space.store.transaction():
            pass
    space.add("Dan dances.", reconcile=False)  # the patience is back


BODIES = [
    b"", b"{", b"[]", b"null", b"1", b'"q"', b"\xff", b'{"query": "\xff"}', b"{}", b'{"query": ""}', b'{"query": 1}',
    b'{"query": "cello"}', b'{"query": "cello", "k": 2}', b'{"query": "cello", "k": 2.0}', b'{"query": "cello", "k": "2"}',
    b'{"query": "cello", "k": true}', b'{"query": "cello", "k": 0}', b'{"query": "cello", "k": 1e99}',
    b'{"query": "cello", "k": NaN}', b'{"query": "cello", "kk": 1}', b'{"query": "cello", "query": "market"}',
    b'{"query": "cello", "method": "words"}', b'{"query": "cello", "method": "Words"}', b'{"query": "cello", "method": null}',
    b'{"query": "cello", "since": "2024-01-01"}', b'{"query": "cello", "since": "soon"}', b'{"query": "cello", "since": 5}',
    b'{"query": "cello", "where": {"a": [1]}}', b'{"query": "\\ud800"}', b'{"query": "\\u0000"}', b'{"query": "cello",}',
    b'{"query": "cello", "include_superseded": "yes"}', b'{"query": "cello", "session": ""}',
]  # fmt: skip


def test_a_body_is_read_alike_by_the_short_way_and_by_the_usual_one(memory, ask, monkeypatch):
    monkeypatch.setattr(dispatch.Direct, "get_route_handler", APIRoute.get_route_handler)
    found = set()
    with server(memory) as usual:
        for body in BODIES:
            for kind in ("application/json", "application/json; charset=utf-8", "text/plain", ""):
                [(_, answer)], [(_, wanted)] = ask((body, kind)), usual((body, kind))
                assert (answer.status_code, answer.json()) == (wanted.status_code, wanted.json()), body
                found.add(answer.status_code)
    assert found == {200, 400, 422}
