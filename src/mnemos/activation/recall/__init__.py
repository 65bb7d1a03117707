"""Reading keys and values: exact in bounded memory, over shared prefixes, from what was kept."""
