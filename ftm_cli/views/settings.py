"""Settings and thresholds as tables of at most 80 columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from ftm_cli.console import say, stdout
from ftm_core.contracts.settings import QualityThresholds, SettingOrigin
from ftm_core.llm.addresses import without_password


def without_secrets(settings: Sequence[SettingOrigin]) -> list[SettingOrigin]:
    """The settings with the API key hidden, which is only shown to be set."""
    return [
        dataclasses.replace(item, value="(set)")
        if item.name == "llm.api_key" and item.value
        else dataclasses.replace(item, value=without_password(str(item.value)))
        if item.name == "llm.base_url"
        else item
        for item in settings
    ]


def show_settings(settings: Sequence[SettingOrigin], *, meanings: bool) -> None:
    """Print one line per setting, under the table of ftm.toml that holds it.

    Names are never cut: a long value is continued below. Values that are not the default are
    followed by their origin.
    """
    columns = ("setting", "meaning") if meanings else ("setting", "variable", "value (origin)")
    table = _grid(*columns)
    group = ""
    for item in settings:
        table_name, name = item.name.split(".")
        if table_name != group:
            group = table_name
            table.add_row(Text(f"[{group}]", style="bold"))
        cells = (item.help,) if meanings else (item.environment_variable, _value_of(item))
        table.add_row(Text(f"  {name}"), *map(Text, cells))
    stdout.print(table)
    say("`ftm config --meanings` explains them. Bounds: docs/reference/settings.md.")


def show_thresholds(thresholds: QualityThresholds) -> None:
    """Print the thresholds of quality, their values and meanings."""
    table = _grid("threshold", "value", "meaning")
    table.add_row(Text("[quality]", style="bold"))
    for name, field in type(thresholds).model_fields.items():
        value = f"{getattr(thresholds, name):g}"
        table.add_row(Text(f"  {name}"), Text(value), Text(field.description or ""))
    stdout.print(table)


def _grid(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in {"setting", "variable"})
    return table


def _value_of(item: SettingOrigin) -> str:
    value = f"{item.value:g}" if isinstance(item.value, float) else str(item.value)
    if item.origin == "default":
        return value
    # The variable's name has a column of its own.
    origin = item.origin.removesuffix(f" {item.environment_variable}")
    return f"{value} ({origin})".lstrip()
