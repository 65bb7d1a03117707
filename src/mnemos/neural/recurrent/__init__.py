"""Layers that read tokens one by one into a state: gated, leaky, waving and bilinear cells, trees, and reservoirs."""
