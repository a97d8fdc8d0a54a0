"""Earnings-call transcripts: taken in, kept by sentence in chunks, read back firm by firm."""
