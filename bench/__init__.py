"""Measurements: ratios against what one would use instead, each in one run."""

from ftm_core.instruction_set import use_one_instruction_set

# As `ftm` does first, before NumPy is imported: what is measured is what users run.
use_one_instruction_set()
