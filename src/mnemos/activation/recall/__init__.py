"""Recall: keys and values of a past too long to attend to, held on a slow tier and fetched when a query asks for them."""
