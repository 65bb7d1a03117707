"""Working memory, lists without end and switching sources: the tasks, their optimum, and networks that learn a little."""

import itertools
import random
import tempfile

import numpy as np
import pytest
import torch

from mnemos.bench.neural import endless, memories, switching, working_memory
from mnemos.bench.neural.working_memory import BLANKS, ITEMS, MOST, PLACES, TASKS
from mnemos.system import Mnemos


@pytest.mark.parametrize("kind", TASKS)
def test_a_trial_has_what_its_probe_asks_for(kind):
    x, answer, asked = working_memory.trials(kind, 50, 5, 3, torch.Generator().manual_seed(0))
    assert x.shape == (50, MOST + BLANKS + 1, working_memory.INPUTS)
    values = x[:, :5, len(TASKS) : len(TASKS) + ITEMS].argmax(-1)
    places = x[:, :5, len(TASKS) + ITEMS : -1].argmax(-1)
    probe = x[:, 8]
    assert (probe[:, -1] == 1).all()
    assert (x[..., -1].sum(1) == 1).all()
    place = probe[:, len(TASKS) + ITEMS : -1].argmax(-1)
    for trial in range(50):
        told = dict(zip(places[trial].tolist(), values[trial].tolist(), strict=True))  # the last one wins
        if kind == "change":
            shown = int(probe[trial, len(TASKS) : len(TASKS) + ITEMS].argmax())
            assert (told[int(place[trial])] != shown) == bool(answer[trial] == ITEMS + 1)
        else:
            assert told[int(place[trial])] == int(answer[trial])
            assert values[trial, asked[trial]] == answer[trial]
    assert len(set(places[0].tolist())) == 5 or kind == "update"
    assert int(places.max()) < PLACES


def test_slope_is_that_of_least_squares():
    values = [0.9, 0.7, 0.75, 0.2]
    assert working_memory.slope(values) == pytest.approx(np.polyfit(range(4), values, 1)[0])


@pytest.mark.parametrize("memory", memories.MEMORIES)
def test_networks_have_about_the_same_size_and_never_see_later_steps(memory):
    model = memories.build(memory, 3, 2, 6_000, 4, 0)
    assert 4_000 < memories.size(model) <= 6_000
    x = torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 8:] += 1
    with torch.no_grad():
        before, after = model(x), model(changed)
    torch.testing.assert_close(before[:, :8], after[:, :8])
    assert not torch.allclose(before[:, 8:], after[:, 8:])
    if memory == "window":  # two layers of four steps
        changed = x.clone()
        changed[:, 0] += 1
        with torch.no_grad():
            torch.testing.assert_close(before[:, 7:], model(changed)[:, 7:])


def test_training_learns_what_can_be_read_off_the_input():
    rng = torch.Generator().manual_seed(0)

    def draw(step):
        y = torch.randint(3, (16, 6), generator=rng)
        return torch.nn.functional.one_hot(y, 3).float(), y, torch.ones_like(y, dtype=torch.bool)

    model = memories.build("gru with memory", 3, 3, 2_000, 4, 0)
    assert memories.train(model, draw, 60, rate=1e-2) < 0.3
    x, y, _ = draw(0)
    assert (memories.predictions(model, x) == y).float().mean() > 0.95


def test_rounds_show_a_command_and_then_execute_all_so_far():
    lists = torch.tensor([[3, 1, 4]])
    x, y, marks, of = endless.unrolled(lists)
    assert of == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert y[0, marks[0]].tolist() == [3, 3, 1, 3, 1, 4]
    shown = x[0, ~marks[0], : endless.COMMANDS].argmax(-1)
    assert shown.tolist() == [3, 1, 4]
    before = x[0, :, endless.COMMANDS + 2 :]
    assert before[~marks[0]].sum() == 0
    assert before[8].argmax() == 1  # the command executed before the last one


def test_players_are_ranked_by_what_they_keep():
    options = endless.Options(games=30, endless=12)
    with tempfile.TemporaryDirectory() as root, Mnemos(root, embedder="none") as memory:
        players = endless.players(memory.space("game"))
        of_space = endless.of_player(players.pop("a space"), endless.Options(games=1, endless=12), 1)
        scores = {name: endless.of_player(player, options, 1) for name, player in players.items()}
    assert of_space == ([78], [12])
    mean = {name: sum(found) / len(found) for name, (found, _) in scores.items()}
    assert mean["without memory"] < 1 < 28 <= mean["newest seven"] < mean["first seven"] < mean["all (oracle)"] == 78
    assert min(scores["newest seven"][1]) >= 7


def direct(bits):
    """PTW by its definition: half for one estimator, half for two halves."""

    def estimator(block):
        p, counts = 1.0, [0, 0]
        for symbol in block:
            p *= (counts[symbol] + 0.5) / (sum(counts) + 1)
            counts[symbol] += 1
        return p

    if len(bits) == 1:
        return estimator(bits)
    middle = len(bits) // 2
    return 0.5 * estimator(bits) + 0.5 * direct(bits[:middle]) * direct(bits[middle:])


def test_partition_tree_weighting_is_that_of_its_definition_and_a_distribution():
    rows = np.array(list(itertools.product((0, 1), repeat=8)))
    losses = switching.partition_tree(rows)
    assert losses == pytest.approx([-np.log2(direct(row.tolist())) for row in rows])
    assert (2.0**-losses).sum() == pytest.approx(1)
    assert (2.0 ** -switching.counter(rows, 0.9)).sum() == pytest.approx(1)


def test_the_mixture_beats_counters_where_sources_switch():
    rng = np.random.default_rng(0)
    bias = switching.biases("ptw", 100, 64, rng)
    bits = (rng.random(bias.shape) < bias).astype(np.int64)
    best = switching.known(bits, bias).mean()
    regrets = [
        losses.mean() - best
        for losses in (switching.partition_tree(bits), switching.counter(bits, 0.95), switching.counter(bits))
    ]
    assert 0 < regrets[0] < min(regrets[1:])
    assert len(set(switching.biases("regular", 1, 64, rng)[0])) == 4


def test_a_network_that_knows_nothing_loses_a_bit_a_symbol():
    model = memories.build("gru", 3, 2, 2_000, 4, 0)
    for p in model.parameters():
        p.data.zero_()
    bits = np.array([[random.Random(0).randrange(2) for _ in range(16)]])
    assert switching.of_network(model, bits) == pytest.approx([16])
