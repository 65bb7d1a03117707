"""Making text memories last: episodes, summaries, profiles and links."""
