"""Another embedding model for a space, on a small conversation."""

import json

from mnemos.bench.progress import SILENT
from mnemos.bench.text.new_embedder import Options, run


def test_every_way_is_measured_in_both_directions(tmp_path):
    things = [f"{size} {what}" for size in ("small", "blue", "old", "wooden", "heavy", "new", "wet", "dry") for what in (
        "boat", "lamp", "violin", "garden", "bicycle", "kitchen", "map", "clock", "chair", "coat", "drum", "kite")]  # fmt: skip
    talk = {"speaker_a": "Ana", "speaker_b": "Bo"}
    for session, place in enumerate(("Lisbon", "Porto"), 1):
        talk[f"session_{session}_date_time"] = f"1:56 pm on {session} May, 2023"
        talk[f"session_{session}"] = [
            {"speaker": "Ana", "dia_id": f"D{session}:{i}", "text": f"The {thing} is in {place}."}
            for i, thing in enumerate(things)
        ]
    questions = [
        {"question": f"Where in {place} is the {things[i]}?", "answer": "", "evidence": [f"D{session}:{i}"], "category": 4}
        for session, place in enumerate(("Lisbon", "Porto"), 1)
        for i in (3, 50)
    ]  # fmt: skip
    (tmp_path / "data.json").write_text(json.dumps([{"sample_id": "conv-99", "conversation": talk, "qa": questions}]))
    rows = run(Options(tmp_path / "data.json", ("hashing:64", "hashing:96"), (100,), 1), SILENT)["parts"]["models"]
    ways = ["asked with hashing:64", "not embedded again", "100 embedded", "all embedded again"]
    assert [name for name in rows if name.startswith("hashing:64 to")] == [
        f"hashing:64 to hashing:96: {w}" for w in ways
    ]
    assert rows["hashing:96 to hashing:64: not embedded again"]["vectors %"] == 0.0
    full = rows["hashing:64 to hashing:96: all embedded again"]
    assert full["vectors, of full %"] == 1.0
    assert full["search %"] == rows["hashing:96 to hashing:64: asked with hashing:96"]["search %"]
