"""Every setting: its type, bounds, default, environment variable, and whether rows depend on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.project_file import read_toml

PROJECT_FILE = "ftm.toml"
# The model that comes with ftm, by the name it is served under; it is too small to write.
BUNDLED_LLM = "SmolLM2-135M-Instruct"

# Cosine of two themes' directions from which they are one theme in two quarters
# (bench/results/panel.md).
SAME_THEME = 0.7

AnswerMode = Literal["write", "select"]


def _setting(default: Any, env: str, help: str, *, rows: bool = False, **bounds: Any) -> Any:
    """One setting; ``rows`` marks those that the output rows depend on."""
    return Field(
        default=default, description=help, json_schema_extra={"env": env, "rows": rows}, **bounds
    )


def _threshold(default: float, help: str, *, ge: float = 0.0) -> Any:
    return Field(default=default, description=help, ge=ge, le=1)


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LlmSettings(_Group):
    """How the LLM server is reached and what is asked of it."""

    base_url: str = _setting("", "LLM_BASE_URL", "OpenAI-compatible base URL, ending in /v1")
    local_model: str = _setting(
        "",
        "LLM_LOCAL_MODEL",
        "GGUF file to serve on this machine: a path, a name of `ftm models`, or "
        "hf:OWNER/REPO/FILE.gguf",
    )
    model_name: str = _setting(
        "Qwen/Qwen3-8B", "LLM_MODEL_NAME", "model the server serves", rows=True
    )
    api_key: str = _setting("", "LLM_API_KEY", "bearer token, if the server wants one")
    max_concurrent: int = _setting(
        10, "LLM_MAX_CONCURRENT", "concurrent requests per job", ge=1, le=1000
    )
    timeout: float = _setting(60.0, "LLM_TIMEOUT", "seconds allowed for one answer", gt=0)
    health_wait: float = _setting(
        600.0, "LLM_HEALTH_WAIT", "seconds to wait for recovery in one outage", ge=0
    )
    health_poll: float = _setting(30.0, "LLM_HEALTH_POLL", "seconds between health probes", gt=0)
    summary_max_tokens: int = _setting(
        100, "LLM_SUMMARY_MAX_TOKENS", "longest topic summary", rows=True, ge=8, le=4096
    )
    theme_max_tokens: int = _setting(
        200, "LLM_THEME_MAX_TOKENS", "longest theme description", rows=True, ge=16, le=4096
    )
    answer_mode: Literal["auto", "write", "select"] = _setting(
        "auto",
        "LLM_ANSWER_MODE",
        "write texts, or select them verbatim from the calls; auto: select for the bundled model",
        rows=True,
    )

    @property
    def resolved_answer_mode(self) -> AnswerMode:
        """The mode of a run: ``auto`` selects with the bundled model and writes otherwise."""
        if self.answer_mode != "auto":
            return self.answer_mode
        return "select" if self.model_name == BUNDLED_LLM else "write"


class MapSettings(_Group):
    """How a quarter is cut into batches and when a batch saves or stops."""

    batch_size: int = _setting(250, "BATCH_SIZE", "firms per batch (map job)", ge=1)
    checkpoint_interval: int = _setting(
        50, "CHECKPOINT_INTERVAL", "firms per checkpoint in the map phase", ge=1
    )
    max_consecutive_failures: int = _setting(
        5, "MAX_CONSECUTIVE_FAILURES", "firms failing in a row that stop a batch", ge=1
    )
    max_failure_rate: float = _setting(
        0.05, "MAX_FAILURE_RATE", "share of failed firms that is tolerated", ge=0, le=1
    )
    min_processed_for_rate: int = _setting(
        100, "MIN_PROCESSED_FOR_RATE", "firms before the failure rate counts", ge=1
    )
    workers: int = _setting(
        0, "MAP_WORKERS", "topic-model processes; 0 takes one per core but one", ge=0
    )


class EmbeddingSettings(_Group):
    """Which sentence-embedding model turns text into vectors."""

    model_name: str = _setting(
        "all-MiniLM-L6-v2",
        "EMBEDDING_MODEL_NAME",
        "sentence-transformers name or folder; the default is the bundled one",
        rows=True,
    )
    precision: Literal["auto", "int8", "float32"] = _setting(
        "auto",
        "EMBEDDING_PRECISION",
        "int8 (bundled model, CPU), float32 (GPU if any), auto: int8 where it can",
        rows=True,
    )


class FirmTopicSettings(_Group):
    """Firm level: one call's sentences to topics."""

    sentences_per_topic: int = _setting(
        8, "FIRM_SENTENCES_PER_TOPIC", "sentences of a call per topic cluster", rows=True, ge=2
    )
    min_topic_size: int = _setting(
        3, "FIRM_MIN_TOPIC_SIZE", "smallest topic, in sentences", rows=True, ge=2
    )


class ThemeSettings(_Group):
    """Theme level: sentences of all firms to themes."""

    flattened_directions: int = _setting(
        8,
        "THEME_FLATTENED_DIRECTIONS",
        "directions of most variance that are flattened before clustering",
        rows=True,
        ge=0,
        le=100,
    )
    sample_size: int = _setting(
        20_000, "THEME_SAMPLE_SIZE", "sentences that themes are fitted on", rows=True, ge=100
    )
    min_theme_size: int = _setting(
        24, "THEME_MIN_SIZE", "sentences of a quarter in its smallest cluster", rows=True, ge=2
    )
    min_similarity: float = _setting(
        0.3,
        "THEME_MIN_SIMILARITY",
        "cosine with a theme's direction from which a sentence belongs to it",
        rows=True,
        ge=-1,
        le=1,
    )
    seed: int = _setting(42, "THEME_SEED", "seed of the sample and of UMAP", rows=True)
    min_firms: int = _setting(2, "MIN_FIRMS", "firms a theme must stand on", rows=True, ge=1)
    max_firm_dominance: float = _setting(
        0.4,
        "MAX_FIRM_DOMINANCE",
        "largest share of a theme's sentences from one firm",
        rows=True,
        gt=0,
        le=1,
    )


class QualityThresholds(_Group):
    """Where `ftm quality` warns: the ``[quality]`` table of ftm.toml replaces single ones.

    They say how good themes are, not whether the tables are sound. A value beyond one is a warning
    and never changes an exit code, and no row depends on them.
    """

    min_coherence: float = _threshold(0.0, "mean NPMI of keywords, at least", ge=-1)
    min_coherence_cv: float = _threshold(0.4, "mean C_v of keywords, at least")
    min_stability: float = _threshold(0.5, "agreement of themes over seeds, at least", ge=-1)
    min_diversity: float = _threshold(0.5, "distinct words among theme keywords, at least")
    min_coverage: float = _threshold(0.3, "share of sentences in a topic, at least")
    min_firms_reached: float = _threshold(0.5, "share of firms in a theme, at least")
    max_dominance: float = _threshold(0.4, "largest share of one firm in a theme, at most")
    max_ungrounded: float = _threshold(0.05, "share of ungrounded summaries, at most")
    min_purity: float = _threshold(0.7, "purity of themes by given labels, at least")
    min_recovery: float = _threshold(0.7, "share of labels recovered, at least")
    min_pure: float = _threshold(0.9, "share of labels recovered purely, at least")
    duplicate_similarity: float = _threshold(0.8, "word overlap that makes two names duplicates")
    link_threshold: float = _threshold(
        SAME_THEME, "cosine of directions that links themes of two quarters, at least"
    )


class Settings(_Group):
    """All settings of one run, by group."""

    llm: LlmSettings = LlmSettings()
    map: MapSettings = MapSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    firm_topics: FirmTopicSettings = FirmTopicSettings()
    themes: ThemeSettings = ThemeSettings()
    quality: QualityThresholds = QualityThresholds()

    def row_settings(self) -> dict[str, dict[str, Any]]:
        """The settings that output rows depend on, for the run's fingerprint."""
        chosen: dict[str, dict[str, Any]] = {}
        for group, name, info in setting_fields():
            if _extra(info)["rows"]:
                chosen.setdefault(group, {})[name] = getattr(getattr(self, group), name)
        return chosen


@dataclass(frozen=True)
class SettingOrigin:
    """One setting's value and where it came from: flag, environment, file or default."""

    name: Annotated[str, Field(description="Table and name in ftm.toml, joined by a dot.")]
    value: str | int | float
    origin: str
    environment_variable: str
    help: str


@dataclass(frozen=True)
class ResolvedSettings:
    """Settings together with the origin of each value."""

    settings: Settings
    origins: tuple[SettingOrigin, ...]


def setting_fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield every setting as group, name and field; thresholds of quality are not settings."""
    for group, group_info in Settings.model_fields.items():
        if group == "quality":
            continue
        kind = group_info.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        for name, info in kind.model_fields.items():
            yield group, name, info


def resolve(
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    project_file: Path | None = None,
    defaults: Mapping[str, tuple[Any, str]] | None = None,
) -> ResolvedSettings:
    """Resolve all settings in the one order: flag, environment, project file, default.

    ``flags`` maps ``group.name`` to values; None means not given. ``defaults`` replaces defaults by
    a value and its origin, as the model on this machine does. Raises InputError naming the setting
    and its origin when a value is unknown or out of bounds.
    """
    flags = {name: value for name, value in (flags or {}).items() if value is not None}
    environment = os.environ if environment is None else environment
    in_file = _read_project_file(project_file)
    thresholds, in_file = _split_thresholds(in_file)
    values: dict[str, dict[str, Any]] = {"quality": thresholds}
    origins: list[SettingOrigin] = []
    known = set()
    for group, name, info in setting_fields():
        full = f"{group}.{name}"
        known.add(full)
        variable = str(_extra(info)["env"])
        if full in flags:
            value, origin = flags[full], "flag"
        elif environment.get(variable, "") != "":
            value, origin = environment[variable], f"environment {variable}"
        elif full in in_file:
            value, origin = in_file[full], str(project_file)
        elif defaults and full in defaults:
            value, origin = defaults[full]
        else:
            value, origin = info.default, "default"
        values.setdefault(group, {})[name] = value
        origins.append(SettingOrigin(full, value, origin, variable, info.description or ""))
    for full in sorted((set(flags) | set(in_file)) - known):
        origin = "flag" if full in flags else str(project_file)
        raise InputError(
            f"The setting {full} ({origin})",
            "does not exist",
            "Use a name that `ftm config` lists.",
        )
    return _validated(values, origins)


def _split_thresholds(in_file: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The thresholds of the ``[quality]`` table by name, and the settings beside them."""
    prefix = "quality."
    of_quality = {name.removeprefix(prefix) for name in in_file if name.startswith(prefix)}
    unknown = sorted(of_quality - set(QualityThresholds.model_fields))
    if unknown:
        raise InputError(
            f"The threshold {unknown[0]} in [quality] of {PROJECT_FILE}",
            "does not exist",
            "Use a name that `ftm config --thresholds` lists.",
        )
    thresholds = {name: in_file[prefix + name] for name in of_quality}
    return thresholds, {name: in_file[name] for name in in_file if not name.startswith(prefix)}


def _validated(values: dict[str, dict[str, Any]], origins: list[SettingOrigin]) -> ResolvedSettings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        full = ".".join(str(step) for step in first["loc"][:2])
        origin = next((item.origin for item in origins if item.name == full), PROJECT_FILE)
        raise InputError(
            f"The setting {full} ({origin})",
            f"cannot be {first['input']!r}: {first['msg']}",
            "Correct the value: `ftm config` shows each setting with its meaning.",
        ) from error
    final = tuple(
        SettingOrigin(
            item.name,
            getattr(getattr(settings, item.name.split(".")[0]), item.name.split(".")[1]),
            item.origin,
            item.environment_variable,
            item.help,
        )
        for item in origins
    )
    return ResolvedSettings(settings, final)


def _read_project_file(path: Path | None) -> dict[str, Any]:
    """Read the settings tables of ``ftm.toml``; other tables (the pin) are not settings."""
    if path is None:
        return {}
    parsed = read_toml(path)
    groups = set(Settings.model_fields)
    found: dict[str, Any] = {}
    for group, table in parsed.items():
        if group in groups and isinstance(table, dict):
            found.update({f"{group}.{name}": value for name, value in table.items()})
        elif group not in {"aws", "local", "slurm"}:
            raise InputError(
                f"The table [{group}] of {path}",
                "is not a table of settings",
                f"Use one of {', '.join(sorted(groups))}.",
            )
    return found


def _extra(info: FieldInfo) -> dict[str, Any]:
    extra = info.json_schema_extra
    assert isinstance(extra, dict)
    return dict(extra)
