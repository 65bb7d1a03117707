"""Bytes and seconds, predicted; and what to attach for a budget."""
