"""What is known of one printer, and how that changes."""
