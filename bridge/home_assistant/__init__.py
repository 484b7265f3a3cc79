"""What Home Assistant is told, so that it finds a printer with all it has."""
