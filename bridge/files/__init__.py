"""The files that a printer prints: stored, checked once, and listed with metadata."""
