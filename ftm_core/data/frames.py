"""Tables of Arrow as pandas DataFrames that join with what researchers have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A DataFrame whose dates are datetime64[us] and whose whole numbers may be missing.

    pandas joins by date only where both sides have the same unit, and microseconds are the unit
    that it gives to dates read from text.
    """
    import pandas as pd

    fields = [
        field.with_type(pa.timestamp("us")) if pa.types.is_date(field.type) else field
        for field in table.schema
    ]
    kinds = {pa.int64(): pd.Int64Dtype()}
    frame: pd.DataFrame = table.cast(pa.schema(fields)).to_pandas(types_mapper=kinds.get)
    return frame
