"""Benchmarks of text memory."""
