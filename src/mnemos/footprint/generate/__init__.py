"""Generating with fewer layers that are loaded, or computed, a token."""
