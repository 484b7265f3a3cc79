"""What must not happen: lines beyond the limits, and commands at the wrong time."""
