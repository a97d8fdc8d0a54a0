"""`ftm browse`: a quarter's themes, then topics, then sentences, as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.console import counted
from ftm_cli.options import DataOption, JsonOption, OptionalQuarterOption

if TYPE_CHECKING:
    from ftm_core.quality.browsing import ThemeView, TopicView

# Rows of themes, topics and sentences.
_Parts = tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]], Sequence[dict[str, Any]]]


def browse_command(
    theme_id: Annotated[
        str | None,
        typer.Argument(help="A theme: shows its topics.", show_default=False),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option("--topic", help="A topic: shows its sentences.", show_default=False),
    ] = None,
    procedure: Annotated[
        bool,
        typer.Option(
            "--procedure", help="List themes about the call itself too: thanks, slides, questions."
        ),
    ] = False,
    quarter: OptionalQuarterOption = None,
    data: DataOption = None,
    json_output: JsonOption = False,
) -> None:
    """Read a finished quarter from the top down, without color or cut lines.

    JSON: `ftm schema browse`.

    Examples:

        ftm browse --quarter 2023Q1

        ftm browse theme_2023Q1_001

        ftm browse --topic FICT01_0 | less
    """
    from ftm_cli.targets import chosen_quarter
    from ftm_cli.views.target import open_data
    from ftm_core.contracts.errors import InputError
    from ftm_core.quality.browsing import Browser

    if theme_id and topic:
        raise InputError(
            "The command `ftm browse`",
            "takes a theme or --topic, not both",
            "Leave one of them out.",
        )
    storage = open_data(data)
    chosen = chosen_quarter(storage, quarter)
    browser = Browser(storage, chosen)
    if topic:
        topic_view = browser.topic(topic)
        lines = _topic_lines(topic_view)
        parts: _Parts = ([], [topic_view.topic], topic_view.sentences)
    elif theme_id:
        theme_view = browser.theme(theme_id)
        lines, parts = _theme_lines(theme_view), ([theme_view.theme], theme_view.topics, [])
    else:
        themes = browser.themes()
        lines = _list_lines(themes, str(chosen), procedure)
        parts = ([row for row in themes if procedure or row["kind"] != "procedure"], [], [])
    if json_output:
        _print_json(str(chosen), parts)
        return
    for line in lines:
        typer.echo(line)


def _print_json(quarter: str, parts: _Parts) -> None:
    from ftm_cli.console import print_json
    from ftm_cli.results.base import Result
    from ftm_cli.results.quarters import (
        BrowsedSentence,
        BrowsedTheme,
        BrowsedTopic,
        BrowseReport,
    )

    def chosen(kind: type[Result], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Of each row the columns that its result has."""
        return [{name: row[name] for name in kind.model_fields} for row in rows]

    themes, topics, sentences = parts
    report = BrowseReport.model_validate(
        {
            "quarter": quarter,
            "themes": chosen(BrowsedTheme, themes),
            "topics": chosen(BrowsedTopic, topics),
            "sentences": chosen(BrowsedSentence, sentences),
        }
    )
    print_json(report.as_json())


def _list_lines(themes: list[dict[str, Any]], quarter: str, procedure: bool) -> Iterator[str]:
    """Groups of similar themes, in the order of their largest theme, and under each its themes."""
    if not themes:
        yield f"{quarter} has no themes."
    shown = [theme for theme in themes if procedure or theme["kind"] != "procedure"]
    groups: dict[int, list[dict[str, Any]]] = {}
    for theme in shown:
        groups.setdefault(theme["group_id"], []).append(theme)
    for number, members in enumerate(groups.values()):
        if number:
            yield ""
        yield f"{members[0]['group_name']}  ({counted(len(members), 'theme')})"
        for theme in members:
            yield f"  {theme['theme_id']}  {theme['name']}  ({_size(theme)}, {theme['kind']})"
            yield f"      {', '.join(theme['keywords'])}"
    if len(shown) < len(themes):
        yield ""
        hidden = counted(len(themes) - len(shown), "theme")
        yield f"{hidden} about the call itself: `ftm browse --procedure`."


def _size(theme: dict[str, Any]) -> str:
    return f"{counted(theme['n_firms'], 'firm')}, {counted(theme['n_topics'], 'topic')}"


def _theme_lines(view: ThemeView) -> Iterator[str]:
    theme = view.theme
    yield f"{theme['theme_id']}  {theme['name']}"
    yield f"    {_size(theme)}"
    yield f"    {', '.join(theme['keywords'])}"
    yield f"    {theme['description']}"
    for topic in view.topics:
        yield ""
        size = counted(topic["n_sentences"], "sentence")
        yield f"{topic['topic_id']}  {topic['firm_name']}  ({size})"
        yield f"    {topic['summary']}"


def _topic_lines(view: TopicView) -> Iterator[str]:
    topic = view.topic
    yield f"{topic['topic_id']}  {topic['firm_name']}, call of {topic['earnings_call_date']}"
    yield f"    theme: {topic['theme_id'] or 'none'}"
    yield f"    {', '.join(topic['keywords'])}"
    yield f"    {topic['summary']}"
    for sentence in view.sentences:
        yield ""
        yield f"[{sentence['position']}] {sentence['speaker_type']}: {sentence['raw_text']}"
