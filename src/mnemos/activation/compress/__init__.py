"""Making keys and values small: fewer bits, fewer channels, or what they can be computed from."""
