"""Compress: what of a long task stays in a prompt of bounded size."""
