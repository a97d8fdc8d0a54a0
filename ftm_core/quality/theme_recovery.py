"""How well themes match the planted themes of a key: purity, recovery, ARI and AMI."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter

# What a key calls a sentence that was written for no theme.
NO_THEME = frozenset({"other", "small_talk"})
# Share of a theme's sentences from which it counts as a planted theme come back.
PURE_THEME = 0.8
_COLUMNS = ("transcript_id", "position", "planted_theme")

# Which theme each sentence was written for, by transcript and position.
Key = dict[tuple[str, int], str]


@dataclass(frozen=True)
class Recovery:
    """Measures against labels; None where nothing could be compared.

    ``purity`` is of all sentences in themes, those written for no theme counting against it;
    ``planted_purity`` is of planted sentences alone. A planted theme comes back pure when the theme
    that holds most of its sentences is of it to PURE_THEME at least, by either reading.
    ``ari`` and ``ami`` compare planted sentences that are in a theme; the ``_all`` ones compare
    every planted sentence, those in no theme as one group more.
    """

    n_planted: int
    n_planted_in_theme: int
    purity: float | None
    planted_purity: float | None
    topic_purity: float | None
    n_key_themes: int
    recovered: tuple[str, ...]
    missed: tuple[str, ...]
    pure: tuple[str, ...]
    pure_of_all: tuple[str, ...]
    ari: float | None
    ami: float | None
    ari_all: float | None
    ami_all: float | None

    @property
    def share_recovered(self) -> float | None:
        """Themes of the key that some theme is mostly made of."""
        return len(self.recovered) / self.n_key_themes if self.n_key_themes else None

    @property
    def not_pure(self) -> tuple[str, ...]:
        """Themes of the key that do not come back pure, by planted sentences."""
        return tuple(sorted({*self.recovered, *self.missed} - set(self.pure)))


def sample_key(quarter: Quarter) -> Key | None:
    """The key that lies beside the sample corpus of ``quarter``, or None without one."""
    source = files("ftm_core.sample").joinpath(f"{quarter}_planted_themes.csv")
    if not source.is_file():
        return None
    return _parse(source.read_text(encoding="utf-8"), f"sample key of {quarter}")


def own_key(quarter: Quarter, source: str) -> Key | None:
    """The key that a quarter brings along: the sample's, when it was ingested from the sample."""
    return sample_key(quarter) if source == "sample" else None


def read_key(path: Path) -> Key:
    """A key from a CSV file with transcript_id, position and planted_theme."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The key file {path}", f"cannot be read ({error})", "Name a CSV file."
        ) from error
    return _parse(text, f"key file {path}")


def _parse(text: str, where: str) -> Key:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(
            f"The {where}",
            f"lacks the columns {', '.join(missing)}",
            f"Give it the columns {', '.join(_COLUMNS)}.",
        )
    key: Key = {}
    for row in reader:
        position = row["position"] or ""
        if not position.isdecimal() or not row["planted_theme"]:
            raise InputError(
                f"Line {reader.line_num} of the {where}",
                "has no whole number as its position, or no planted theme",
                "Correct the line of the file.",
            )
        key[row["transcript_id"], int(position)] = row["planted_theme"]
    return key


def purity(groups: Mapping[str, Counter[str]]) -> float | None:
    """Share of items whose label is the commonest of their group (Manning et al. 2008, 16.3)."""
    total = sum(group.total() for group in groups.values())
    return (
        sum(max(group.values(), default=0) for group in groups.values()) / total if total else None
    )


def compare(
    key: Key,
    theme_of: Mapping[tuple[str, int], str | None],
    topic_of: Mapping[tuple[str, int], str | None],
) -> Recovery:
    """Compare sentences' themes and topics with a key; raises InputError when none is in it."""
    common = sorted(set(key) & set(theme_of))
    if not common:
        raise InputError(
            "The key file",
            "names no sentence of this quarter",
            "Name the key file of this quarter.",
        )
    themes = _groups(key, {place: theme_of[place] for place in common})
    topics = _groups(key, {place: topic_of[place] for place in common})
    # Ties go to the first name, so that the value does not depend on the order of sentences.
    majorities = {
        min(group.items(), key=lambda item: (-item[1], item[0]))[0] for group in themes.values()
    }
    planted_themes = {
        name: Counter({label: count for label, count in group.items() if label not in NO_THEME})
        for name, group in themes.items()
    }
    planted = [place for place in common if key[place] not in NO_THEME]
    wanted = {key[place] for place in planted}
    in_theme = [place for place in planted if theme_of[place] is not None]
    truth = [key[place] for place in planted]
    found = [theme_of[place] or "" for place in planted]
    ari, ami = _indices([key[place] for place in in_theme], [theme_of[p] or "" for p in in_theme])
    ari_all, ami_all = _indices(truth, found)
    return Recovery(
        n_planted=len(planted),
        n_planted_in_theme=len(in_theme),
        purity=purity(themes),
        planted_purity=purity(planted_themes),
        topic_purity=purity(topics),
        n_key_themes=len(wanted),
        recovered=tuple(sorted(wanted & majorities)),
        missed=tuple(sorted(wanted - majorities)),
        pure=_come_back_pure(wanted, planted_themes),
        pure_of_all=_come_back_pure(wanted, themes),
        ari=ari,
        ami=ami,
        ari_all=ari_all,
        ami_all=ami_all,
    )


def _groups(key: Key, group_of: Mapping[tuple[str, int], str | None]) -> dict[str, Counter[str]]:
    groups: dict[str, Counter[str]] = {}
    for place, group in group_of.items():
        if group is not None:
            groups.setdefault(group, Counter())[key[place]] += 1
    return groups


def _come_back_pure(wanted: set[str], themes: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    """Labels of which the theme that holds most sentences is theirs to PURE_THEME at least."""
    found = []
    for label in sorted(wanted):
        home = max(themes.values(), key=lambda group: group[label], default=Counter[str]())
        if home[label] and home[label] / home.total() >= PURE_THEME:
            found.append(label)
    return tuple(found)


def _indices(truth: list[str], found: list[str]) -> tuple[float | None, float | None]:
    if not truth:
        return None, None
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    return (
        float(adjusted_rand_score(truth, found)),
        float(adjusted_mutual_info_score(truth, found)),
    )
