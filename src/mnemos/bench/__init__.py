"""Benchmarks: every figure in the docs comes from a result file that a command of this package wrote."""
