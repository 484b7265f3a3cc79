"""The line to one printer: opened, met, kept, and what went over it."""
