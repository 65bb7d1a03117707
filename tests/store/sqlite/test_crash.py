"""Writers killed with SIGKILL lose nothing they had acknowledged. The long run is benchmarks/store/crash.py."""

import pytest

from benchmarks.store import crash


@pytest.mark.skipif(not hasattr(__import__("signal"), "SIGKILL"), reason="this system has no SIGKILL")
def test_ten_kills_lose_nothing(tmp_path):
    tally = crash.measure(kills=10, root=tmp_path, longest=0.2)
    assert tally.kills == 10
    assert tally.acknowledged > 50, "the writers must have written something for the kills to mean anything"
    assert tally.stored >= tally.acknowledged
    assert (tally.lost, tally.torn_batches, tally.problems) == (0, 0, [])


def test_the_check_notices_a_loss_and_a_torn_batch(tmp_path):
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
