"""What all tests share: a clock, no file of settings, and no deadlines in hypothesis, since machines are slow at times."""

import os

import pytest
from hypothesis import settings

os.environ["MNEMOS_CONFIG"] = os.devnull  # the file of settings of whoever runs the tests has no say

settings.register_profile("mnemos", deadline=None)
settings.load_profile("mnemos")


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock(request):
    """A clock that stands at the T0 of the module."""
    return Clock(request.module.T0)
