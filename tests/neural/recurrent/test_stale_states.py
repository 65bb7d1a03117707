"""States that drift: what is predicted of nodes that move alike, and what is tracked of their drift."""

import pytest
import torch

from mnemos.bench.neural.recurrence import batches
from mnemos.errors import InvalidInput
from mnemos.neural.recurrent.stale_states import DriftCorrectedStates


def test_states_that_drift_evenly_are_predicted_exactly_after_any_time():
    torch.manual_seed(0)
    states, groups, speeds = DriftCorrectedStates(3, 4), torch.tensor([0, 2, 0, 2]), torch.randn(3, 4)
    begin, elapsed = torch.randn(4, 4), torch.tensor([3.0, 7.0, 1.0, 0.0])
    states.observe(begin, begin + elapsed[:, None] * speeds[groups], elapsed, groups)
    torch.testing.assert_close(states.mean()[[0, 2]], speeds[[0, 2]])
    torch.testing.assert_close(states.variance(), torch.zeros(3, 4), atol=1e-5, rtol=0)
    assert not states.mean()[1].any()  # nothing was seen of this group
    later = states.predicted(begin, torch.full((4,), 50.0), groups)
    torch.testing.assert_close(later, begin + 50 * speeds[groups])
    torch.testing.assert_close(states.predicted(begin, torch.full((4,), 1e9), groups), begin + 1000 * speeds[groups])


def test_drifts_are_means_and_variances_weighted_by_time():
    torch.manual_seed(0)
    states = DriftCorrectedStates(1, 2, fade=1.0)
    elapsed, drifts = torch.rand(20) + 0.1, torch.randn(20, 2)
    for part in (slice(0, 8), slice(8, 20)):
        e = elapsed[part]
        states.observe(torch.zeros(len(e), 2), e[:, None] * drifts[part], e, torch.zeros(len(e), dtype=torch.long))
    share = (elapsed / elapsed.sum())[:, None]
    mean = (share * drifts).sum(0)
    torch.testing.assert_close(states.mean()[0], mean)
    torch.testing.assert_close(states.variance()[0], (share * (drifts - mean).square()).sum(0))


def test_a_correction_lies_between_prediction_and_measurement():
    states = DriftCorrectedStates(1, 2, gate=0.25)
    found = states.corrected(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.75]]))
    assert float(states.coherence(torch.eye(2), 3 * torch.eye(2))) == pytest.approx(0)
    assert float(states.coherence(torch.eye(2), -torch.eye(2))) == pytest.approx(2)
    with pytest.raises(InvalidInput, match="gate"):
        DriftCorrectedStates(1, 2, gate=1.0)


def test_a_batch_writes_a_node_once_from_its_last_event():
    torch.manual_seed(0)
    memory = batches.Memory(torch.zeros(batches.NODES, dtype=torch.long), corrected=False)
    states, written = memory.begin()
    nodes, said, now = torch.tensor([[0, 1], [0, 2]]), torch.rand(2, 2), torch.tensor([5.0, 6.0])
    after, times, _ = memory.write(states, written, nodes, said, now)
    assert times[:4].tolist() == [6.0, 5.0, 6.0, 0.0]
    alone = memory.write(states, written, nodes[1:], said[1:], now[1:])[0]
    torch.testing.assert_close(after[0], alone[0])
    assert not after[3:].any()
