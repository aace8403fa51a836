"""Language model providers behind the port of the core."""
