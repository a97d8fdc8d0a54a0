"""Results of commands as tables, panels and lines on the terminal."""
