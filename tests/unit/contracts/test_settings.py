"""Settings: flag over environment over file over default; wrong ones refused by name and origin."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import (
    QualityThresholds,
    ResolvedSettings,
    Settings,
    resolve,
    setting_fields,
)

FIELDS = {f"{group}.{name}": info for group, name, info in setting_fields()}
SOURCES = ("flag", "environment", "file")


def variable(name: str) -> str:
    extra = FIELDS[name].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["env"])


@pytest.fixture
def project_file(tmp_path: Path) -> Path:
    return tmp_path / "ftm.toml"


def value_and_origin(resolved: ResolvedSettings, name: str) -> tuple[Any, str]:
    return next((item.value, item.origin) for item in resolved.origins if item.name == name)


@pytest.mark.parametrize(
    "given_by", [set(chosen) for n in range(4) for chosen in itertools.combinations(SOURCES, n)]
)
def test_the_nearest_source_wins(given_by: set[str], tmp_path: Path) -> None:
    values = {"flag": 11, "environment": 22, "file": 33, "default": 10}
    file = tmp_path / "ftm.toml"
    if "file" in given_by:
        file.write_text("[llm]\nmax_concurrent = 33\n")

    resolved = resolve(
        flags={"llm.max_concurrent": 11 if "flag" in given_by else None},
        environment={"LLM_MAX_CONCURRENT": "22"} if "environment" in given_by else {},
        project_file=file,
    )

    nearest = next((source for source in SOURCES if source in given_by), "default")
    value, origin = value_and_origin(resolved, "llm.max_concurrent")
    assert resolved.settings.llm.max_concurrent == value == values[nearest]
    assert origin == {
        "environment": "environment LLM_MAX_CONCURRENT",
        "file": str(file),
    }.get(nearest, nearest)


def test_settings_of_the_design_have_their_names_and_defaults() -> None:
    expected = {
        "LLM_BASE_URL": "", "LLM_MODEL_NAME": "Qwen/Qwen3-8B", "LLM_MAX_CONCURRENT": 10,
        "LLM_TIMEOUT": 60.0, "LLM_HEALTH_WAIT": 600.0, "LLM_HEALTH_POLL": 30.0, "LLM_API_KEY": "",
        "CHECKPOINT_INTERVAL": 50, "EMBEDDING_MODEL_NAME": "all-MiniLM-L6-v2",
        "MAX_CONSECUTIVE_FAILURES": 5, "MAX_FAILURE_RATE": 0.05, "MIN_PROCESSED_FOR_RATE": 100,
        "LLM_LOCAL_MODEL": "", "LLM_ANSWER_MODE": "auto",
        "THEME_FLATTENED_DIRECTIONS": 8, "THEME_SAMPLE_SIZE": 20000,
        "THEME_MIN_SIMILARITY": 0.3, "MIN_FIRMS": 2, "MAX_FIRM_DOMINANCE": 0.4,
    }  # fmt: skip
    found = {item.environment_variable: item.value for item in resolve(environment={}).origins}

    assert {name: found.get(name) for name in expected} == expected


def test_settings_stay_fewer_than_thirty() -> None:
    """What nobody changes is a constant with its reason beside the code that uses it."""
    assert len(FIELDS) < 30


def test_every_setting_has_a_variable_and_a_meaning_of_its_own() -> None:
    variables = [variable(name) for name in FIELDS]

    assert len(set(variables)) == len(variables)
    assert all(info.description for info in FIELDS.values())


def test_an_empty_variable_counts_as_not_given() -> None:
    resolved = resolve(environment={"LLM_MAX_CONCURRENT": ""})

    assert value_and_origin(resolved, "llm.max_concurrent") == (10, "default")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_MAX_CONCURRENT", "0"),
        ("LLM_MAX_CONCURRENT", "1001"),
        ("LLM_MAX_CONCURRENT", "ten"),
        ("LLM_MAX_CONCURRENT", "1.5"),
        ("LLM_TIMEOUT", "0"),
        ("LLM_TIMEOUT", "nan"),
        ("LLM_TIMEOUT", "inf"),
        ("LLM_HEALTH_WAIT", "-1"),
        ("CHECKPOINT_INTERVAL", "0"),
        ("MAX_FAILURE_RATE", "1.01"),
        ("MAX_FAILURE_RATE", "-0.1"),
        ("MAX_FIRM_DOMINANCE", "0"),
        ("LLM_ANSWER_MODE", "best"),
        ("FIRM_MIN_TOPIC_SIZE", "1"),
        ("THEME_SAMPLE_SIZE", "99"),
        ("THEME_MIN_SIMILARITY", "1.1"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name_and_origin(name: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(environment={name: value})

    full = next(full for full in FIELDS if variable(full) == name)
    assert caught.value.where == f"The setting {full} (environment {name})"
    assert repr(value) in caught.value.cause


def test_a_wrong_value_hidden_by_a_nearer_source_does_no_harm() -> None:
    resolved = resolve(flags={"llm.max_concurrent": 5}, environment={"LLM_MAX_CONCURRENT": "wrong"})

    assert resolved.settings.llm.max_concurrent == 5


def test_unknown_names_are_refused_by_origin(project_file: Path) -> None:
    with pytest.raises(InputError, match=r"setting llm\.no_such \(flag\)"):
        resolve(flags={"llm.no_such": 1}, environment={})

    project_file.write_text("[llm]\nno_such = 1\n")
    with pytest.raises(InputError, match=r"setting llm\.no_such .*ftm\.toml"):
        resolve(environment={}, project_file=project_file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[no_such_table]\nx = 1\n", r"table \[no_such_table\] of .*ftm\.toml"),
        ("llm = 1\n", r"table \[llm\] of .*ftm\.toml"),
        ("max_concurrent = 1\n", r"table \[max_concurrent\] of .*ftm\.toml"),
        ("[llm\n", "cannot be read"),
        ("[llm]\nmax_concurrent = 'many'\n", r"setting llm\.max_concurrent .*ftm\.toml"),
        ("[llm]\nmax_concurrent = [1]\n", r"setting llm\.max_concurrent .*ftm\.toml"),
    ],
)
def test_a_wrong_project_file_is_named(project_file: Path, content: str, message: str) -> None:
    project_file.write_text(content)

    with pytest.raises(InputError, match=message):
        resolve(environment={}, project_file=project_file)


def test_a_project_file_that_is_no_text_or_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ftm.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    for name in ("ftm.toml", "folder.toml"):
        with pytest.raises(InputError, match="cannot be read"):
            resolve(environment={}, project_file=tmp_path / name)


def test_a_missing_project_file_and_the_pin_are_no_settings(project_file: Path) -> None:
    assert resolve(environment={}, project_file=project_file).settings == Settings()
    project_file.write_text("[aws]\nprofile = 'research'\n[local]\nfolder = 'data'\n")
    assert resolve(environment={}, project_file=project_file).settings == Settings()


def test_thresholds_come_from_the_project_file(project_file: Path) -> None:
    """They are no settings: the [quality] table replaces single ones and knows its names."""
    assert not [name for name in FIELDS if name.startswith("quality.")]
    project_file.write_text("[quality]\nmin_coverage = 0.9\n")
    thresholds = resolve(environment={}, project_file=project_file).settings.quality
    assert thresholds == QualityThresholds(min_coverage=0.9)

    project_file.write_text("[quality]\nmin_cover = 0.9\n")
    with pytest.raises(InputError, match=r"threshold min_cover in \[quality\]"):
        resolve(environment={}, project_file=project_file)
    project_file.write_text("[quality]\nmin_coverage = 9\n")
    with pytest.raises(InputError, match=r"quality\.min_coverage"):
        resolve(environment={}, project_file=project_file)


def test_row_settings_are_those_that_rows_depend_on() -> None:
    chosen = resolve(
        environment={"MIN_FIRMS": "3", "BATCH_SIZE": "7", "LLM_API_KEY": "secret"}
    ).settings.row_settings()

    assert chosen["themes"]["min_firms"] == 3
    assert "map" not in chosen
    # Neither a secret nor where the server is belongs into run.json.
    assert set(chosen["llm"]) == {
        "model_name",
        "summary_max_tokens",
        "theme_max_tokens",
        "answer_mode",
    }
