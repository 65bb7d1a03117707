"""Slots of a llama.cpp server: saved once, restored, and gone with the cubes they were computed from.

The server is a stand-in that answers as llama.cpp's does (recorded from build 11549). With MNEMOS_LLAMA_SERVER (a URL)
and MNEMOS_LLAMA_SLOTS (its --slot-save-path) the same tests run against a real one.
"""

import json
import os
import re
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")

from mnemos import Mnemos
from mnemos.adapters.llamacpp import ContextSlots, LlamaSlots, SlotError
from mnemos.errors import InvalidInput, NotFound

REAL = os.environ.get("MNEMOS_LLAMA_SERVER")


class StandIn(httpx.BaseTransport):
    """Two slots; a token is a word."""

    def __init__(self, folder):
        self.folder, self.slots, self.calls, self.down = folder, {0: [], 1: []}, [], False

    def handle_request(self, request):
        if self.down:
            raise httpx.ConnectError("refused")
        body = json.loads(request.content or "null")
        path = request.url.path
        self.calls.append(path + (f" {request.url.params['action']}" if "action" in request.url.params else ""))
        if path == "/props":
            return httpx.Response(200, json={"total_slots": 2})
        if path == "/apply-template":
            text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in body["messages"])
            return httpx.Response(200, json={"prompt": text})
        if path == "/completion":
            words, held = body["prompt"].split(), self.slots[body["id_slot"]]
            same = 0
            while same < min(len(words), len(held)) and words[same] == held[same]:
                same += 1
            self.slots[body["id_slot"]] = words
            timings = {"cache_n": same, "prompt_n": len(words) - same}
            return httpx.Response(200, json={"content": "", "tokens_evaluated": len(words), "timings": timings})
        slot = int(re.fullmatch(r"/slots/(\d+)", path)[1])
        action = request.url.params["action"]
        if action == "erase":
            held, self.slots[slot] = self.slots.get(slot, []), []
            return httpx.Response(200, json={"id_slot": slot, "n_erased": len(held)})
        name = body["filename"]
        if "/" in name or ".." in name:
            return self.error(400, "Invalid filename")
        file = self.folder / name
        if action == "save":
            held = self.slots.get(slot, [])
            file.write_text(" ".join(held))
            return httpx.Response(200, json={"id_slot": slot, "filename": name, "n_saved": len(held)})
        self.slots[slot] = []  # a failed restore empties the slot
        if not file.exists():
            return self.error(400, "Unable to restore slot: No available space in KV cache or invalid slot save file")
        self.slots[slot] = file.read_text().split()
        return httpx.Response(200, json={"id_slot": slot, "filename": name, "n_restored": len(self.slots[slot])})

    def error(self, code, message):
        return httpx.Response(code, json={"error": {"code": code, "message": message, "type": "invalid_request_error"}})


@pytest.fixture
def server(tmp_path):
    if REAL:
        folder = Path(os.environ["MNEMOS_LLAMA_SLOTS"])
        slots = LlamaSlots(REAL)
        slots.down = False
        yield slots, folder, None
        for file in folder.glob("mnemos-*"):
            file.unlink()
    else:
        folder = tmp_path / "slots"
        folder.mkdir()
        stand_in = StandIn(folder)
        yield LlamaSlots("http://llama", transport=stand_in), folder, stand_in


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        space = memory.space("ana")
        space.add_many(
            {"id": i, "content": text, "speaker": "Ana"}
            for i, text in {"rita": "My sister Rita lives in Lisbon.", "bolt": "My dog Bolt sleeps here."}.items()
        )
        yield space


def messages(context):
    return [{"role": "system", "content": f"Use the records.\n{context}"}]


def files(folder):
    return sorted(path.name for path in folder.glob("mnemos-*.bin"))


def test_a_context_is_read_once_and_restored_afterwards(server, space):
    slots, folder, _ = server
    context = space.context("Where does Rita live?")
    warm = ContextSlots(space, slots, folder, "m")
    first = warm.warm(context, messages(context), 0)
    assert not first.restored
    assert len(files(folder)) == 1
    slots.erase(0)
    warm.close()
    again = ContextSlots(space, slots, folder, "m")  # as after a restart
    other = again.warm(context, messages(context), 1)
    assert other.restored
    assert other.tokens == first.tokens
    prompt = slots.prompt(messages(context))
    read = slots._call("POST", "/completion", {"prompt": prompt, "n_predict": 0, "cache_prompt": True, "id_slot": 1})
    assert read["timings"]["cache_n"] >= first.tokens - 1
    assert again.warm(context, messages(context), 1).tokens == first.tokens
    assert not ContextSlots(space, slots, folder, "another model").warm(context, messages(context)).restored


def test_erasing_a_cube_erases_the_file_and_empties_the_slot(server, space):
    slots, folder, _ = server
    context = space.context("Where does Rita live?")
    warm = ContextSlots(space, slots, folder, "m")
    warm.warm(context, messages(context), 0)
    receipt = space.forget(ids=["rita"])
    assert files(folder) == []
    assert slots.erase(0) == 0
    assert any(name.startswith("mnemos-") for name in receipt.ids)
    assert warm.sweep() == [] or files(folder) == []


def test_what_was_erased_while_nobody_listened_is_swept(server, space):
    slots, folder, _ = server
    context = space.context("Where does Rita live?")
    warm = ContextSlots(space, slots, folder, "m")
    warm.warm(context, messages(context), 0)
    warm.close()
    space.forget(ids=["rita"])
    assert len(files(folder)) == 1
    ContextSlots(space, slots, folder, "m")
    assert files(folder) == []


def test_a_lost_file_is_made_again(server, space):
    slots, folder, _ = server
    context = space.context("Where does Rita live?")
    warm = ContextSlots(space, slots, folder, "m")
    warm.warm(context, messages(context), 0)
    (folder / files(folder)[0]).unlink()
    assert not warm.warm(context, messages(context), 1).restored
    assert len(files(folder)) == 1


def test_a_slot_that_could_not_be_emptied_is_emptied_before_the_next_use(server, space):
    slots, folder, stand_in = server
    if stand_in is None:
        pytest.skip("a real server cannot be taken down")
    context = space.context("Where does Rita live?")
    warm = ContextSlots(space, slots, folder, "m")
    warm.warm(context, messages(context), 0)
    stand_in.down = True
    space.forget(ids=["rita"])
    assert files(folder) == []
    stand_in.down = False
    other = space.context("Where does Bolt sleep?")
    warm.warm(other, messages(other), 1)
    assert stand_in.slots[0] == []


def test_errors_say_what_to_do(server, space):
    slots, folder, stand_in = server
    with pytest.raises(NotFound, match="no slot file"):
        slots.restore(0, "none.bin")
    with pytest.raises(SlotError, match="Invalid filename"):
        slots.save(0, "../x")
    slots.erase(0)
    with pytest.raises(SlotError, match="nothing to save"):
        slots.save(0, "empty.bin")
    (folder / "empty.bin").unlink(missing_ok=True)
    with pytest.raises(InvalidInput, match="do not contain the context"):
        ContextSlots(space, slots, folder, "m").warm("x", messages("y"))
    assert slots.count() >= 2
    if stand_in is not None:
        stand_in.down = True
        with pytest.raises(SlotError, match="is it running"):
            slots.count()
