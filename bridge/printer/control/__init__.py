"""What is sent to one printer: commands in a queue, polls, hooks, and stops."""
