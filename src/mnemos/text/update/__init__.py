"""Changing text memories: what a new statement does to those that are there."""
