"""Benchmarks of activation memory, on small models that are trained once. They need `mnemos[torch]` to run."""
