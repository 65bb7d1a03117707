"""Writers killed with SIGKILL lose nothing they had acknowledged. The long run is benchmarks/crash.py."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "crash.py"


@pytest.fixture
def crash():
    spec = importlib.util.spec_from_file_location("benchmarks_crash", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[spec.name]


@pytest.mark.skipif(not hasattr(__import__("signal"), "SIGKILL"), reason="this system has no SIGKILL")
def test_ten_kills_lose_nothing(crash, tmp_path):
    tally = crash.run(kills=10, root=tmp_path, longest=0.2)
    assert tally.kills == 10
    assert tally.acknowledged > 50, "the writers must have written something for the kills to mean anything"
    assert tally.stored >= tally.acknowledged
    assert (tally.lost, tally.torn_batches, tally.problems) == (0, 0, [])


def test_the_check_notices_a_loss_and_a_torn_batch(crash, tmp_path):
    """The run above could not fail if the check saw nothing."""
    with crash.Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("crash")
        kept = space.add("Message 0 0 0")
        space.add("Message 0 9 0", metadata={"batch": "0-9"})
        tally = crash.Tally()
        crash.check(space, {kept.id: kept.text, "gone": "Message 0 1 0"}, tally)
        assert (tally.lost, tally.torn_batches) == (1, 1)
        crash.check(space, {kept.id: "Message with another text"}, tally)
        assert tally.lost == 1
