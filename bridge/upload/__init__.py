"""Files come in: the HTTP server that slicers upload to, the inbox, and downloads."""
