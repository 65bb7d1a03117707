"""Merging entries that do not stay into those that do."""
