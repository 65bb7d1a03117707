"""What running takes: the parts of `mnemos bench footprint-running`."""
