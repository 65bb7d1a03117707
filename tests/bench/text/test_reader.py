"""Readers, and the stage that an answer failed at."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import arms, growth
from mnemos.bench.text.reader import (
    PROTOCOL,
    ModelReader,
    Passage,
    ScriptedReader,
    blame,
    mentioned,
    right,
    spoken,
)
from mnemos.bench.text.task import Expected, Haystack, Question
from mnemos.errors import MnemosError

GYM = Expected(("Core Lab",), ("Core Lab", "Pulse Club", "Core"), ("Ana",))


def said(id, day, text, speaker="Ana"):
    return Passage(id, text, datetime(2024, 1, day, tzinfo=UTC), speaker)


def asking(expected=GYM, gold=("b",)):
    return Question("q", "Which gym does Ana go to?", {"turn": gold}, "current", "made", expected=expected)


def test_the_newest_or_the_best_ranked_passage_about_the_subject_answers():
    shown = [
        said("a", 1, "I train at Pulse Club."),
        said("b", 5, "Now I train at Core Lab."),
        said("c", 9, "Core", "Ben"),
    ]
    assert ScriptedReader().answer(asking(), shown) == "Core Lab"
    assert ScriptedReader(newest=False).answer(asking(), shown) == "Pulse Club"
    assert ScriptedReader().answer(asking(), shown[2:]) == ""


def test_a_value_within_a_longer_one_or_within_a_word_is_not_named():
    assert mentioned("From Core Lab to Pulse Club", ("Core", "Core Lab", "Pulse Club")) == ["Core Lab", "Pulse Club"]
    assert mentioned("Corelli", ("Core",)) == []


def test_an_answer_is_right_if_it_names_the_value_and_nothing_is_right_where_nothing_answers():
    assert right("She goes to core lab.", GYM)
    assert not right("", GYM)
    assert right("", Expected())
    assert not right("Core Lab", Expected())


@pytest.mark.parametrize(
    ("answer", "stored", "shown", "stage"),
    [
        ("Core Lab", "b", "b", "right"),
        ("", "", "", "write"),
        ("Pulse Club", "ab", "a", "retrieval"),
        ("Pulse Club", "ab", "ab", "reader"),
    ],
)
def test_a_wrong_answer_is_that_of_the_first_stage_that_failed(answer, stored, shown, stage):
    assert blame(answer, GYM, ("b",), set(stored), set(shown)) == stage


def test_an_answer_to_what_nothing_answers_is_the_fault_of_what_was_shown():
    assert blame("Core", Expected(), (), {"a"}, {"a"}) == "retrieval"
    assert blame("Core", Expected(), (), {"a"}, set()) == "reader"


def test_a_reply_is_read_as_json_in_a_fence_or_as_it_is():
    assert spoken('{"answer": "Core Lab"}') == "Core Lab"
    assert spoken('```json\n{"answer": ""}\n```') == ""
    assert spoken("Core Lab\n") == "Core Lab"


@pytest.fixture
def endpoint():
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            message = {"role": "assistant", "content": '{"answer": "Core Lab"}'}
            reply = json.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_is_shown_dated_notes_in_their_order_and_its_answer_is_read(endpoint):
    pytest.importorskip("openai")
    url, seen = endpoint
    shown = [said("b", 5, "Now I train at Core Lab."), said("a", 1, "I train at Pulse Club.")]
    assert ModelReader(url, "tiny").answer(asking(), shown) == "Core Lab"
    prompt = seen[0]["messages"][-1]["content"]
    assert prompt.index("[2024-01-01 00:00] Ana: I train at Pulse Club.") < prompt.index("[2024-01-05 00:00] Ana: Now")
    assert asking().text in prompt
    options = growth.Options(sizes=(1,), each=1, users=1, arms=("oracle",), embedder="none", url=url, model="tiny")
    result = growth.run(options, SILENT)
    assert (result["reader"], result["protocol"]) == ("tiny", PROTOCOL)
    assert (
        result["sizes"]["1"]["oracle"]["abstention"]["retrieval"]
        + result["sizes"]["1"]["oracle"]["abstention"]["reader"]
        == 1
    )


def test_an_endpoint_that_does_not_answer_is_named():
    with pytest.raises(MnemosError, match="tiny at http://127.0.0.1:9"):
        ModelReader("http://127.0.0.1:9/v1", "tiny", timeout=2).answer(asking(), [])


def test_arms_show_nothing_everything_what_fits_what_is_found_and_the_evidence():
    messages = [
        {"id": name, "content": text, "speaker": "Ana", "at": f"2024-01-0{day}"}
        for name, day, text in (
            ("a", 1, "I train at Pulse Club."),
            ("b", 2, "I like the tides."),
            ("c", 3, "Now Core Lab."),
        )
    ]
    with arms.told(Haystack("h", messages, []), "none") as space:
        shower = arms.Shower(space, "turn", k=1, window=12)
        asked = replace(asking(gold=("a",)), text="Where do I train?")
        shown = {
            arm: [p.id for p in shower.show(arm, asked)] for arm in arms.ARMS if arm != "vectors"
        }  # needs an embedder
    assert shown["nothing"] == []
    assert shown["everything"] == ["a", "b", "c"]
    assert shown["window"] == ["c"]
    assert shown["oracle"] == ["a"]
    assert shown["words"] == shown["mnemos"] == ["a"]
