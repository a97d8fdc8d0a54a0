"""Reduce: topics of all firms to cross-firm themes, described, with the firms behind each."""
