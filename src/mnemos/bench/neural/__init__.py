"""Tasks that small networks are trained for, by what they have to remember."""
