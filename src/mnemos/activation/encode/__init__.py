"""Taking text in: keys and values, and the memory they lie in."""
