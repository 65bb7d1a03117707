"""The parts of `mnemos bench recurrent`: each a claim, with `ROWS` and `one(row, seed)`, the figures of a row."""
