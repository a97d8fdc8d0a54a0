"""Checks of a quarter: SQL files that return violating rows, and a few in Python."""
