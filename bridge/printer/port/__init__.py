"""Bytes to and from a printer, whatever lies between."""
