"""What every result has in common."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel

_Root = TypeVar("_Root")

# For dataclasses that operations make and results contain as they are.
FORBID = ConfigDict(extra="forbid")


class Result(BaseModel):
    """A result that refuses unknown fields; ``as_json`` is what ``--json`` prints."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return self.model_dump(mode="json")


class RootResult(RootModel[_Root], Generic[_Root]):
    """A result that is a dataclass of the core as it is."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        values: dict[str, Any] = self.model_dump(mode="json")
        return values
