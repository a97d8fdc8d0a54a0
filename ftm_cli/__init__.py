"""The operator tool: one command for each phase of a quarter."""
