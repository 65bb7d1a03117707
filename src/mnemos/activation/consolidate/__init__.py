"""Merging: entries that are evicted are folded into those that stay."""
