"""What all tests share: no file of settings, and no deadlines in hypothesis, since machines are slow at times."""

import os

from hypothesis import settings

os.environ["MNEMOS_CONFIG"] = os.devnull  # the file of settings of whoever runs the tests has no say

settings.register_profile("mnemos", deadline=None)
settings.load_profile("mnemos")
