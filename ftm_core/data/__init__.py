"""Everything of one quarter in one data location: records, lease, checkpoints, tables."""
