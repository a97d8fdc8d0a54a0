"""Render the report as one HTML page that needs and allows no network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ftm_core import __version__
from ftm_core.report.content import ReportContent
from ftm_core.report.timeline import Timeline

FAILURES_SHOWN = 200
CHAINS_SHOWN = 40
# From which share of a firm's sentences each deeper shade of the heatmap begins.
SHADES = (0.0, 0.02, 0.05, 0.1, 0.2)


def render_page(content: ReportContent, cost: str) -> bytes:
    """The page, UTF-8; ``cost`` is a sentence on what the run cost.

    Everything in the content is text: the template escapes it, and what scripts read is packed,
    so that nothing in it can end a script or become one. The page's own policy lets run only
    the scripts whose SHA-256 it names, and lets nothing be fetched.
    """
    from plotly.offline import get_plotlyjs

    script, plotly = _file("report.js"), get_plotlyjs()
    environment = Environment(
        loader=PackageLoader("ftm_core", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shade"] = _shade
    environment.filters["duration"] = _duration
    page = environment.get_template("report.html").render(
        content=content,
        views=content.views,
        timeline=content.timeline,
        cost=cost,
        version=__version__,
        failures_shown=FAILURES_SHOWN,
        chains_shown=CHAINS_SHOWN,
        shades=SHADES,
        style=Markup(_file("report.css")),
        script=Markup(script),
        script_hashes=[_source_hash(script), _source_hash(plotly)],
        data=_packed(json.dumps(_data(content), separators=(",", ":"))),
        plotly=_packed(plotly),
    )
    return page.encode()


def _data(content: ReportContent) -> dict[str, Any]:
    """What the scripts read."""
    views = content.views
    return {
        "themes": [
            {"name": entry.row["name"], "kind": entry.row["kind"], **entry.detail}
            for entry in views.themes
        ],
        "map": views.topic_map,
        "timeline": None if content.timeline is None else _lines(content.timeline),
    }


def _lines(timeline: Timeline) -> dict[str, Any]:
    chains = timeline.chains[:CHAINS_SHOWN]
    return {
        "quarters": timeline.quarters,
        "chains": [{"name": chain.name, "n_firms": chain.n_firms} for chain in chains],
    }


def _shade(share: float) -> int:
    """Which shade of the heatmap a share has; 0 for none at all."""
    return sum(share > bound for bound in SHADES)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _packed(text: str) -> str:
    """Compressed, as Base64; the same each time."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


def _source_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _file(name: str) -> str:
    return files("ftm_core.report").joinpath(name).read_text(encoding="utf-8")
