"""The parts of `mnemos bench statespace` measure what they say, on next to nothing."""

import pytest
import torch

from mnemos.bench.neural import statespace, statespace_signals, statespace_tokens
from mnemos.bench.neural.statespace_series import made_series
from mnemos.registry import get


def test_noise_has_no_frequency_above_its_band():
    signal = statespace_signals.noise(512, 20, 3)
    spectrum = torch.fft.rfft(signal).abs()
    assert float(spectrum[21:].max()) < 1e-9 * float(spectrum.max())
    assert float(signal.square().mean()) == pytest.approx(1.0)


def test_a_window_that_is_too_short_reconstructs_its_part_alone():
    signal = statespace_signals.noise(400, 4, 0)
    back = statespace_signals.windowed("legt", signal, 100)
    assert not back[:300].any()
    assert (back[310:390] - signal[310:390]).norm() < 0.1 * signal[310:390].norm()


def test_dependent_variates_repeat_the_one_before():
    x = made_series(500, True, torch.Generator().manual_seed(0)).diff(dim=1)
    alone = made_series(500, False, torch.Generator().manual_seed(0)).diff(dim=1)

    def lagged(x):
        return float(torch.corrcoef(torch.stack([x[:, 2:, 1].flatten(), x[:, :-2, 0].flatten()]))[0, 1])

    assert lagged(x) > 0.5
    assert abs(lagged(alone)) < 0.2


def test_a_filtered_model_has_the_weights_of_the_other():
    layers = [("mamba", {"states": 4})] * 2
    model = statespace_tokens.LM(statespace_tokens.VOCABULARY, statespace_tokens.WIDTH, layers, 0)
    task = statespace_tokens.Recall(64, 4, statespace_tokens.VOCABULARY, power=1.0)
    long = statespace_tokens.filtered(model, layers, task, every=True)
    assert all(layer["mixer"].threshold.any() for layer in long.stack.layers)
    tokens = task(2, torch.Generator().manual_seed(0)).inputs
    assert not torch.equal(long(tokens)[0], model(tokens)[0])
    for layer in long.stack.layers:
        layer["mixer"].threshold.zero_()
    assert torch.equal(long(tokens)[0], model(tokens)[0])


def test_tables_and_figures_read_a_result():
    row = {"right": 0.5, "right_sd": 0.01, "earliest": 0.25}
    result = {"seeds": 3, "parts": {"copying": {"mamba": row, "s4d": {"right": 0.1}}}}
    rows = statespace.table("copying", "layer")(result)
    assert rows[0] == ["layer", "right", "earliest"]
    assert rows[1] == ["mamba", "50.0 ± 1.0 %", "25.0 %"]
    said = statespace.figure(result, get("mamba", form="neural"))
    assert "50.0" in said.text
    assert said.others == {"s4d": "10.0 %"}
    assert statespace.figure(result, get("chimera", form="neural")) is None
