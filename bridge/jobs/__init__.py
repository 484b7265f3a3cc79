"""The waiting prints of a printer, and its past prints."""
