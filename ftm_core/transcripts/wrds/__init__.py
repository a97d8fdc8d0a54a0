"""Transcripts and identifiers from WRDS (Capital IQ, Compustat, CRSP), fetched once a quarter."""
