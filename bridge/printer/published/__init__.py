"""What is published about one printer; shapes and names are OctoPrint's."""
