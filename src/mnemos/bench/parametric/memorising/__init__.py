"""Experiments on what weights memorise: one file a law, run by `mnemos bench laws`."""
