"""Home Assistant discovery: tables of entities, the message, and when it is published.

The tables are ``status_entities``, ``output_entities`` and ``control_entities``.
"""
