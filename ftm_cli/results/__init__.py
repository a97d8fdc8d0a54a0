"""Results of commands as pydantic models: one JSON shape per command, the same on every target."""
