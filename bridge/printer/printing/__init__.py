"""Prints a file of the bridge: streaming, pausing, ending, and the checkpoint."""
