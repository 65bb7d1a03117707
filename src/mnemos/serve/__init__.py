"""Servers: a memory for other programs."""
