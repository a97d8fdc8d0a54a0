"""The small finished quarter that these tests read and tamper with."""

from tests.fakes.small_quarter import finished_quarter, small_quarter

__all__ = ["finished_quarter", "small_quarter"]
