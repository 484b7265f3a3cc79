"""The prints of a printer that wait, and those that have ended."""
