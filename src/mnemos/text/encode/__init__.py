"""Encoding of texts: checks, terms, dates, vectors."""
