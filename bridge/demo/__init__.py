"""Everything at work on one machine: a broker, a simulated printer and the bridge."""
