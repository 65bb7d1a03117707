"""Benchmarks of activation memory, on small models that are trained once. They need `mnemos-os[torch]` to run."""
