"""Benchmarks of memories in weights."""
