"""What commands do: plans as values, AWS behind injected clients; no Typer, no Rich."""
