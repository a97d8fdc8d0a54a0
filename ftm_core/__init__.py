"""Find what earnings calls talk about: transcripts in, firm topics and cross-firm themes out."""

__version__ = "0.2.0"
