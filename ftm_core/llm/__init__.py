"""Asking the LLM: the client, its recovery, the answers it keeps, and the local server."""
