"""Where cubes are stored: the contract of a store (`base`, `values`), and the embedded one (`sqlite`)."""
