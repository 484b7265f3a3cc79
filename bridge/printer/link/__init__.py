"""The link to one printer: opened, set up and kept, and its log."""
