"""How good a quarter is: topics and themes in figures, and themes from quarter to quarter."""
