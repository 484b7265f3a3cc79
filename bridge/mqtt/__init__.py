"""One broker."""
