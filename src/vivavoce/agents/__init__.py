"""For coding agents: the server's own API as tools of the Model Context Protocol (docs/reference/mcp-server.md)."""
