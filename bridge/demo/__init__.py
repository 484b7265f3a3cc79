"""The demo: a broker, a simulated printer and the bridge on one machine."""
