"""The server's own API: what no vendor has."""
