"""What one printer is told: commands in their turn, and what it must be asked."""
