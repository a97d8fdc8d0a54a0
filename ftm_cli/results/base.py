"""What every result has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """A result that refuses unknown fields; ``as_json`` is what ``--json`` prints."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return self.model_dump(mode="json")
