"""Making weights smaller: rounding, residual blocks, bit planes, merged experts."""
