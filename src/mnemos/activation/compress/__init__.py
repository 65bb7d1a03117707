"""Compression: keys and values in fewer bits or channels, or as what they can be computed from."""
