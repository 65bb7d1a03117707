"""One form of memory into another, and what decides when."""
