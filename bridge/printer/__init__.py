"""One printer on its line."""
