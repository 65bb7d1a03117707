"""The parts of `mnemos bench footprint-training`."""
