"""What all tests share: no deadlines in hypothesis, since machines are slow at times and caches cold."""

from hypothesis import settings

settings.register_profile("mnemos", deadline=None)
settings.load_profile("mnemos")
