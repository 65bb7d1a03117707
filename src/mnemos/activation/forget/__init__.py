"""Eviction: scores that rank entries, and allocations that share a budget among layers and heads."""
