"""Map: each firm's sentences to topics, each topic to a summary."""
