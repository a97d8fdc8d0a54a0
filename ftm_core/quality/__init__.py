"""How good a quarter is: measures of topics and themes, and themes from quarter to quarter."""
