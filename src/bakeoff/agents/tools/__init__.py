"""Tools: Python functions, OpenAPI, MCP, search; and the recorded outcome of every call."""
