"""Layers with a memory of their own, and a small model to put them in. Needs the extra mnemos[torch]."""
