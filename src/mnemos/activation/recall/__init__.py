"""Recall: keys and values of a past too long to attend to, fetched from a slow tier when a query asks for them."""
