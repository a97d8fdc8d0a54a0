"""Where data lives: one interface over a local folder or an S3 bucket."""

from ftm_core.storage.base import Storage
from ftm_core.storage.opening import open_storage

__all__ = ["Storage", "open_storage"]
