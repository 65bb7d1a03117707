"""Benchmarks of vector indexes and codes: recall, bytes and time against exact search."""
