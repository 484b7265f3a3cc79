"""What must not happen: lines beyond the limits, commands at the wrong time."""
