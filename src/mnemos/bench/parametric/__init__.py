"""Benchmarks of parametric memory: what is known by heart, what that cost, and what it broke."""
