"""Draw the exposure to themes of a panel over quarters: for the screen (HTML) or a paper."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.panel import Panel

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FORMATS = ("html", "svg", "png", "pdf")
# What is drawn when no theme is named.
N_LARGEST = 5
_MOST_CANDIDATES = 10
# On the axis, and of them those that fit side by side without being turned.
_MOST_TICKS = 24
_MOST_LEVEL_TICKS = 10
_NAME_LENGTH = 80
# Okabe and Ito (2008): colors that color-blind readers tell apart; markers serve print in gray.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKERS = "osD^vPX"


def find_themes(panel: Panel, asked: Sequence[str]) -> list[str]:
    """IDs of the themes of the panel that ``asked`` names; the largest when it names none.

    A theme is named by its ID in the panel, by the ID of a theme of one quarter, or by words that
    are in the names or keywords of no other theme of the panel. The largest are those of subjects
    that last more than one quarter, by their firms. Raises InputError for a name of none or many.
    """
    themes = panel.themes()
    if not asked:
        largest = _largest(themes)
        if not largest:
            raise InputError(
                "The list of themes of these quarters",
                "has no subject that could be plotted",
                "Name a theme with --theme: `ftm browse --procedure` lists those of all kinds.",
            )
        return largest
    return list(dict.fromkeys(_named(themes, name) for name in asked))


def plot_panel(panel: Panel, panel_theme_ids: Sequence[str], file_format: str) -> bytes:
    """The mean share of calls that is about each theme, a line per theme, as a file of FORMATS.

    Quarters are placed by time. A line is interrupted where a quarter of the panel does not have
    the theme. HTML holds the picture and its values, and needs no network.
    """
    values = values_of(panel, panel_theme_ids)
    quarters = list(panel.quarters)
    figure = _draw(values, panel_theme_ids, quarters)
    if file_format != "html":
        return _saved(figure, file_format)
    return _page(values, _saved(figure, "svg").decode()).encode()


def values_of(panel: Panel, panel_theme_ids: Sequence[str]) -> pd.DataFrame:
    """The rows of ``Panel.by_quarter`` for these themes, in their order and that of time."""
    place = {panel_theme_id: number for number, panel_theme_id in enumerate(panel_theme_ids)}
    rows = panel.by_quarter()
    rows = rows[rows["panel_theme_id"].isin(list(place))]
    order = rows.assign(place=rows["panel_theme_id"].map(place))
    return order.sort_values(["place", "quarter"]).drop(columns="place").reset_index(drop=True)


def _largest(themes: pd.DataFrame) -> list[str]:
    subjects = themes[themes["kind"] == "subject"]
    sizes = subjects.groupby("panel_theme_id")["n_firms"].agg(["sum", "count"])
    lasting = sizes[sizes["count"] > 1]
    chosen = lasting if len(lasting) else sizes
    ordered = chosen.reset_index().sort_values(["sum", "panel_theme_id"], ascending=[False, True])
    return list(ordered["panel_theme_id"].head(N_LARGEST))


def _named(themes: pd.DataFrame, name: str) -> str:
    """The one theme of the panel that ``name`` identifies."""
    ids = themes["panel_theme_id"]
    of_ids = themes[(ids == name) | (themes["theme_id"] == name)]
    if len(of_ids):
        return str(of_ids["panel_theme_id"].iloc[0])
    words = name.casefold()
    texts = themes["name"] + "\n" + themes["keywords"].map("\n".join)
    found = themes[[words in text.casefold() for text in texts]].drop_duplicates("panel_theme_id")
    if len(found) == 1:
        return str(found["panel_theme_id"].iloc[0])
    if not len(found):
        raise InputError(
            f"The theme {name!r}",
            "is neither the ID of a theme of these quarters nor in the name or keywords of one",
            "Find its ID in panel_themes.csv of `ftm export --quarters A..B --format csv`.",
        )
    largest = found.sort_values("n_firms", ascending=False).head(_MOST_CANDIDATES)
    listed = "; ".join(
        f"{row.panel_theme_id} {row.panel_theme_name}" for row in largest.itertuples()
    )
    raise InputError(
        f"The theme {name!r}",
        f"is in the name or keywords of {len(found)} themes",
        f"Name one of them by its ID: {listed}.",
    )


def _draw(values: pd.DataFrame, ids: Sequence[str], quarters: Sequence[Quarter]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.0 + 0.22 * len(ids)), layout="constrained")
    axes = figure.add_subplot()
    lines, names = [], []
    for number, panel_theme_id in enumerate(ids):
        rows = values[values["panel_theme_id"] == panel_theme_id]
        shares = dict(zip(rows["quarter"], rows["mean_share"] * 100, strict=True))
        (line,) = axes.plot(
            [_time(quarter) for quarter in quarters],
            [shares.get(str(quarter), float("nan")) for quarter in quarters],
            color=_COLORS[number % len(_COLORS)],
            marker=_MARKERS[number % len(_MARKERS)],
            linestyle="-" if number < len(_COLORS) else "--",
            markersize=5,
            linewidth=1.5,
        )
        lines.append(line)
        names.append(_shortened(str(rows["panel_theme_name"].iloc[0])))
    ticks = _ticks(quarters, _MOST_TICKS)
    axes.set_xticks([_time(quarter) for quarter in ticks], [str(quarter) for quarter in ticks])
    is_level = ticks == _ticks(quarters, _MOST_LEVEL_TICKS)
    axes.tick_params(axis="x", labelrotation=0 if is_level else 45)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Mean share of a call (%)")
    axes.grid(axis="y", linewidth=0.5, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    legend = figure.legend(lines, names, loc="outside lower left", frameon=False, fontsize="small")
    for text in legend.get_texts():
        # A dollar sign in a name is no formula.
        text.set_parse_math(False)
    return figure


def _time(quarter: Quarter) -> int:
    return quarter.year * 4 + quarter.number - 1


def _ticks(quarters: Sequence[Quarter], most: int) -> list[Quarter]:
    """The quarters whose labels have room: ``most`` at the most, none close to the one before."""
    span = _time(quarters[-1]) - _time(quarters[0])
    shown = [quarters[0]]
    for quarter in quarters[1:]:
        if (_time(quarter) - _time(shown[-1])) * most >= span:
            shown.append(quarter)
    return shown


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1].rstrip() + "…"


def _saved(figure: Figure, file_format: str) -> bytes:
    """The picture as a file; the same each time, so without its date."""
    import matplotlib as mpl

    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(file_format)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "ftm"}):
        figure.savefig(buffer, format=file_format, dpi=200, metadata=metadata)
    return buffer.getvalue()


def _page(values: pd.DataFrame, svg: str) -> str:
    """A page with the picture and a table of its values."""
    columns = {
        "panel_theme_id": "theme",
        "panel_theme_name": "name in its first quarter",
        "quarter": "quarter",
        "theme_id": "theme of the quarter",
        "n_firms": "firms with it",
        "n_calls": "calls of the quarter",
        "mean_share": "mean share of a call",
    }
    shown = values.assign(mean_share=values["mean_share"].map("{:.2%}".format))
    rows = [
        "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
        for row in shown[list(columns)].itertuples(index=False)
    ]
    head = "".join(f"<th>{title}</th>" for title in columns.values())
    span = f"{values['quarter'].min()} to {values['quarter'].max()}"
    return _PAGE.format(
        title=f"Exposure to themes, {span}",
        svg=svg[svg.index("<svg") :],
        head=head,
        rows="\n".join(f"<tr>{row}</tr>" for row in rows),
    )


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem;
  color: #1b1b1b; background: #fff; }}
svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>The share of a call's sentences (small talk left out) that is about the theme, as a mean over all
calls of the quarter. A line is interrupted where a quarter does not have the theme.</p>
{svg}
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""
