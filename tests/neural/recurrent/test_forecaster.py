"""The forecaster follows scale and level, and begins as a linear one."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.recurrent.forecaster import Forecaster


def test_forecasts_follow_the_scale_and_the_level_of_a_series():
    torch.manual_seed(0)
    model = Forecaster(32, 5, trend=5)
    model.correct.weight.data.normal_()
    x = torch.randn(3, 32)
    torch.testing.assert_close(model(40 * x - 7), 40 * model(x) - 7, atol=1e-3, rtol=1e-4)


def test_before_training_layers_add_nothing_to_the_linear_forecast():
    torch.manual_seed(0)
    model, linear = Forecaster(32, 5), Forecaster(32, 5, mixers=())
    linear.load_state_dict(model.state_dict(), strict=False)
    x = torch.randn(3, 32)
    torch.testing.assert_close(model(x), linear(x))
    model(x).sum().backward()
    assert model.correct.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [{"patch": 5}, {"trend": 4}])
def test_patches_that_do_not_divide_what_is_seen_are_refused(options):
    with pytest.raises(InvalidInput, match="give a patch"):
        Forecaster(32, 5, **options)
    with pytest.raises(InvalidInput, match="series"):
        Forecaster(32, 5)(torch.zeros(2, 31))
