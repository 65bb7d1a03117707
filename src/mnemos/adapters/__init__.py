"""Adapters: a space as the memory of other frameworks. Each module needs its framework's package; this one needs none."""
