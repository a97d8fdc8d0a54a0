"""Check the themes and the topics and firms that stand behind each."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ftm_core.contracts import keys, schemas
from ftm_core.data.finished import FinishedQuarter
from ftm_core.evaluation.evidence import Evidence
from ftm_core.evaluation.map_checks import MapFacts
from ftm_core.evaluation.reader import CheckedReader
from ftm_core.evaluation.report import Check, Tally
from ftm_core.llm import prompts

_IDENTIFIERS = ("permno", "gvkey", "earnings_call_date")


class ThemeChecks:
    """The two tables of the reduce, checked against each other and against the topics."""

    def __init__(self, quarter: FinishedQuarter, reader: CheckedReader, facts: MapFacts) -> None:
        self._quarter = quarter
        self._facts = facts
        self._contributions_key = keys.theme_contributions(quarter.quarter)
        self.themes: list[dict[str, Any]] = reader.read(
            keys.themes(quarter.quarter), schemas.THEMES
        ).to_pylist()
        self.contributions: list[dict[str, Any]] = reader.read(
            self._contributions_key, schemas.THEME_CONTRIBUTIONS
        ).to_pylist()
        self._firms_of: dict[str, Counter[str]] = {}
        for row in self.contributions:
            self._firms_of.setdefault(row["theme_id"], Counter())[row["firm_id"]] += 1

    def run(self, evidence: Evidence) -> list[Check]:
        """All checks of the themes."""
        return [
            self._present(),
            self._ids(),
            self._texts(),
            self._answers(evidence),
            self._counts(),
            self._min_firms(),
            self._dominance(),
            self._references(),
            self._identifiers(),
        ]

    def _present(self) -> Check:
        topics = len(self._facts.topics)
        firms = len({fact.firm_id for fact in self._facts.topics.values()})
        settings = self._quarter.settings["themes"]
        why = (
            f"{topics} topics of {firms} firms held none: a theme needs several similar topics of "
            f"at least {settings['min_firms']} firms, and no firm may have more than "
            f"{settings['max_firm_dominance']:.0%} of them; run the quarter with more firms"
        )
        in_themes = len({row["topic_id"] for row in self.contributions})
        return Check(
            id="themes-present",
            group="themes",
            title="There are themes",
            passed=bool(self.themes),
            figure=f"{len(self.themes)} themes, {in_themes} of {topics} topics in one",
            detail="" if self.themes else why,
        )

    def _ids(self) -> Check:
        quarter = self._quarter.quarter
        form = re.compile(rf"theme_{quarter}_\d{{3,}}")
        tally = Tally(
            "theme-ids", "themes", f"Theme ids are theme_{quarter}_NNN, each once", "themes"
        )
        counts = Counter(theme["theme_id"] for theme in self.themes)
        for theme in self.themes:
            name = theme["theme_id"]
            sound = form.fullmatch(name) is not None and counts[name] == 1
            sound = sound and theme["quarter"] == str(quarter)
            tally.see(sound, f"{name} of {theme['quarter']}, {counts[name]} times")
        return tally.check()

    def _texts(self) -> Check:
        tally = Tally(
            "theme-texts", "themes", "Themes have a title and a description in prose", "themes"
        )
        for theme in self.themes:
            name, description = theme["name"], theme["description"]
            sound = bool(name.strip()) and name != description and prompts.is_prose(description)
            tally.see(sound, f"{theme['theme_id']}: {name[:60]!r}, {description[:80]!r}")
        return tally.check()

    def _answers(self, evidence: Evidence) -> Check:
        tally = Tally(
            "theme-answers", "themes", "Titles and descriptions are cached responses", "themes"
        )
        for theme in self.themes:
            fault = evidence.fault_of_theme(theme["name"], theme["description"])
            tally.see(fault is None, f"{theme['theme_id']}: {fault}")
        return tally.check()

    def _counts(self) -> Check:
        tally = Tally(
            "theme-counts", "themes", "n_topics and n_firms equal the contributions", "themes"
        )
        for theme in self.themes:
            firms = self._firms_of.get(theme["theme_id"], Counter())
            counted = (firms.total(), len(firms))
            said = (theme["n_topics"], theme["n_firms"])
            tally.see(said == counted, f"{theme['theme_id']} says {said}, counted {counted}")
        return tally.check()

    def _min_firms(self) -> Check:
        least = self._quarter.settings["themes"]["min_firms"]
        tally = Tally(
            "theme-min-firms", "themes", f"Every theme stands on {least} firms or more", "themes"
        )
        for theme in self.themes:
            count = len(self._firms_of.get(theme["theme_id"], ()))
            tally.see(count >= least, f"{theme['theme_id']} stands on {count}")
        return tally.check()

    def _dominance(self) -> Check:
        most = self._quarter.settings["themes"]["max_firm_dominance"]
        tally = Tally(
            "theme-dominance", "themes",
            f"No firm has more than {most:.0%} of a theme's topics", "themes",
        )  # fmt: skip
        for theme in self.themes:
            firms = self._firms_of.get(theme["theme_id"], Counter())
            firm, count = max(firms.items(), key=lambda item: item[1], default=("", 0))
            share = count / firms.total() if firms else 0.0
            tally.see(share <= most, f"{firm} has {share:.0%} of {theme['theme_id']}")
        return tally.check()

    def _references(self) -> Check:
        tally = Tally(
            "contribution-references", "themes",
            "Contributions name a theme and a topic, each topic once", "rows",
        )  # fmt: skip
        themes = {theme["theme_id"] for theme in self.themes}
        counts = Counter(row["topic_id"] for row in self.contributions)
        for row in self.contributions:
            faults = []
            if row["theme_id"] not in themes:
                faults.append(f"{row['theme_id']} is no theme")
            if row["topic_id"] not in self._facts.topics:
                faults.append(f"{row['topic_id']} is no topic")
            if counts[row["topic_id"]] > 1:
                faults.append(f"{row['topic_id']} occurs {counts[row['topic_id']]} times")
            tally.see(not faults, ", ".join(faults))
        return tally.check()

    def _identifiers(self) -> Check:
        """Permno, gvkey and call date are those of the topic, and so those ingested."""
        tally = Tally(
            "contribution-identifiers", "themes",
            "Contributions carry permno, gvkey and earnings_call_date of their topic", "rows",
        )  # fmt: skip
        columns = ("firm_id", "firm_name", *_IDENTIFIERS, "n_sentences")
        for row in self.contributions:
            fact = self._facts.topics.get(row["topic_id"])
            wrong = [
                name for name in columns if fact is not None and row[name] != getattr(fact, name)
            ]
            tally.see(not wrong, f"{row['topic_id']} differs in {', '.join(wrong)}")
        return tally.check()
