"""The small finished quarter, for tests of the store."""

from tests.fakes.small_quarter import finished_quarter, small_quarter

__all__ = ["finished_quarter", "small_quarter"]
