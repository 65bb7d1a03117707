"""Layers that learn while they read: a small memory is trained on each token, inside the forward pass."""
