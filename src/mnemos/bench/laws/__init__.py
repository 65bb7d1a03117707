"""Experiments on how memory behaves: one file a law, run by `mnemos bench laws`."""
