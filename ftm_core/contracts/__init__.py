"""What every part of ftm agrees on: errors, quarters, keys, schemas, records, settings, events."""
