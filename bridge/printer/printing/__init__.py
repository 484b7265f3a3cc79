"""Prints a file that the bridge has: streaming, pausing, ending, and what is kept."""
