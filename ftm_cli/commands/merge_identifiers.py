"""`ftm ingest merge-identifiers`: gvkey and permno for transcripts that came without them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import DataOption, JsonOption, QuarterOption

if TYPE_CHECKING:
    from ftm_core.transcripts.identifiers_merge import MergeReport

UNMATCHED_SHOWN = 20


def merge_identifiers_command(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with ticker (or firm_id or gvkey), gvkey, permno and the dates "
            "of each link (linkdt, linkenddt); linktype and linkprim where there are any.",
            show_default=False,
        ),
    ],
    quarter: QuarterOption,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Fill gvkey, permno and link date of an ingested quarter from a file of links.

    The link rules are those of `ftm ingest wrds`: type LU or LC, primary P or C, valid on the day
    of the call, one link a firm by a stated order. Identifiers that are there already are kept.
    Firms that stay without permno are listed in `unmatched_identifiers.csv` beside the chunks.

    JSON: `ftm schema merge-identifiers`.

    Example:

        ftm ingest merge-identifiers links.csv --quarter 2023Q1
    """
    import datetime as dt

    from ftm_cli.console import say
    from ftm_cli.progress import progress_listener
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.transcripts.identifiers_file import read_links
    from ftm_core.transcripts.identifiers_merge import merge_identifiers

    wanted = Quarter.parse(quarter)
    storage = open_data(data)
    links = read_links(file)
    if not links.dated:
        say(f"{file} has no dates: each of its links is taken as valid at any time.")
    with progress_listener() as listener:
        report = merge_identifiers(
            storage, wanted, links, today=dt.datetime.now(dt.UTC).date(), listener=listener
        )
    _render(report, links_read=links.n_rows, data=storage.uri, as_json=json_output)


def _render(report: MergeReport, *, links_read: int, data: str, as_json: bool) -> None:
    """The outcome as tables or as one JSON document."""
    from ftm_cli.console import print_json, print_table, say
    from ftm_cli.results.ingest import MergeIdentifiersResult

    facts: dict[str, Any] = {
        "quarter": report.manifest.quarter,
        "data": data,
        "links_read": links_read,
        "firms": report.n_firms,
        "firms_filled": report.n_filled,
        "firms_complete_before": report.n_complete_before,
        "firms_with_rival_links": report.n_rival_links,
        "firms_without_permno": len(report.unmatched),
        "unmatched_file": report.unmatched_place,
    }
    unmatched = [
        (firm.firm_id, firm.firm_name, firm.ticker, firm.gvkey, firm.reason)
        for firm in report.unmatched
    ]
    columns = ("firm_id", "firm_name", "ticker", "gvkey", "reason")
    if as_json:
        listed = [dict(zip(columns, row, strict=True)) for row in unmatched]
        result = MergeIdentifiersResult.model_validate({**facts, "unmatched": listed})
        print_json(result.as_json())
        return
    rows = [(name.replace("_", " "), value) for name, value in facts.items() if name != "quarter"]
    print_table(f"Identifiers of {report.manifest.quarter}", ("", ""), rows)
    if unmatched:
        shown = unmatched[:UNMATCHED_SHOWN]
        title = f"Without permno ({len(shown)} of {len(unmatched):,}); all are in the file"
        print_table(title, columns, shown)
    if report.n_filled:
        say("The transcripts changed: results of an earlier run need `ftm run --restart`.")
