"""Taking text in: checking, splitting into terms, dating, embedding."""
