"""Checks of a finished quarter against its inputs, its answers and its contracts."""
