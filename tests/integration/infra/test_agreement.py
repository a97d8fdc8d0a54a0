"""Fault 26: code, Terraform and state machine agree on names, variables, exit codes and schemas."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ftm_cli.operations.aws import names
from ftm_cli.operations.aws.preflight import JOB_INSTANCE_TYPES
from ftm_core import worker
from ftm_core.contracts import keys, schemas
from ftm_core.contracts.errors import ExitCode
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings, setting_fields
from ftm_core.spot import METADATA_VARIABLE as SPOT_METADATA_VARIABLE
from tests.fakes.terraform_variables import variable_default
from tests.integration.infra.conftest import ROOT, ModuleVerdict
from tests.integration.infra.state_language import all_states

Verdicts = Mapping[str, ModuleVerdict]
Jobs = Mapping[str, Any]
JOB_OF_STATE = {"PlanBatches": "plan", "ProcessBatch": "map", "ReduceThemes": "reduce"}


def settings_variables() -> set[str]:
    """Environment variables of all settings."""
    return {str(info.json_schema_extra["env"]) for _, _, info in setting_fields()}  # type: ignore[index,call-overload]


def test_fault_26_defaults_are_the_codes_own() -> None:
    settings = Settings()
    assert variable_default("batch", "vllm_model") == settings.llm.model_name
    assert variable_default("ecs", "vllm_model") == settings.llm.model_name
    assert variable_default("batch", "llm_max_concurrent") == settings.llm.max_concurrent
    interval = variable_default("batch", "checkpoint_interval")
    assert interval == settings.map.checkpoint_interval
    proxy_timeout = variable_default("ecs", "request_timeout_seconds")
    assert proxy_timeout > settings.llm.timeout


def test_fault_26_names_are_the_ones_that_the_commands_use(
    verdicts: Verdicts, job_definitions: Jobs
) -> None:
    batch = verdicts["batch"].plans["second_pass"]
    ecs = verdicts["ecs"].plans["vllm"]
    machines = verdicts["stepfunctions"].plans["silent"]
    assert batch["aws_batch_job_queue.main"]["name"] == names.QUEUE
    assert batch["aws_cloudwatch_log_group.batch"]["name"] == names.BATCH_LOGS
    assert batch["aws_security_group.batch"]["name"] == "ftm-batch-sg"
    assert job_definitions["map"]["name"] == names.MAP_JOB_DEFINITION
    assert job_definitions["reduce"]["name"] == names.REDUCE_JOB_DEFINITION
    for kind, stream in names.STREAMS.items():
        log = job_definitions[kind]["container"]["logConfiguration"]["options"]
        assert log["awslogs-group"] == names.BATCH_LOGS
        assert log["awslogs-stream-prefix"] == stream
    assert ecs["aws_autoscaling_group.vllm"]["name"] == names.VLLM_GROUP
    assert ecs["aws_ecs_cluster.vllm"]["name"] == names.VLLM_CLUSTER
    assert ecs["aws_ecs_service.vllm"]["name"] == names.VLLM_SERVICE
    assert ecs["aws_cloudwatch_log_group.vllm"]["name"] == names.VLLM_LOGS
    assert machines["aws_sfn_state_machine.quarter_processor"]["name"] == names.STATE_MACHINE
    assert machines["aws_sfn_state_machine.deadman[0]"]["name"] == names.DEADMAN
    deadman = machines["aws_sfn_state_machine.deadman[0]"]["definition"]
    for name in (names.VLLM_GROUP, names.VLLM_CLUSTER, names.VLLM_SERVICE):
        assert f'"{name}"' in deadman
    for module in ("batch", "ecs", "stepfunctions"):
        assert variable_default(module, "aws_region") == names.DEFAULT_REGION


def test_fault_26_quotas_are_checked_for_the_types_of_the_jobs(verdicts: Verdicts) -> None:
    environments = [
        values["compute_resources"][0]["instance_type"]
        for address, values in verdicts["batch"].plans["second_pass"].items()
        if address.startswith("aws_batch_compute_environment")
    ]
    assert environments
    for types in environments:
        assert sorted(types) == sorted(JOB_INSTANCE_TYPES)


def test_fault_26_jobs_get_only_variables_that_the_code_reads(job_definitions: Jobs) -> None:
    # Read by boto3 and the worker.
    known = settings_variables() | {
        "AWS_DEFAULT_REGION",
        SPOT_METADATA_VARIABLE,
    }
    for kind, job in job_definitions.items():
        given = {pair["name"]: pair["value"] for pair in job["container"]["environment"]}
        assert set(given) <= known, kind
        assert given["LLM_BASE_URL"]
        assert all(given.values())


def test_fault_26_plan_map_and_reduce_share_their_settings(job_definitions: Jobs) -> None:
    environments = [job["container"]["environment"] for job in job_definitions.values()]
    assert environments[0] == environments[1] == environments[2]


@pytest.mark.parametrize("state", list(JOB_OF_STATE))
def test_fault_26_state_machine_gives_each_job_its_variables(
    state: str,
    quarter_processor: Mapping[str, Any],
    job_definitions: Jobs,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = dict(all_states(quarter_processor))[state]["Parameters"]
    step = job_definitions[JOB_OF_STATE[state]]
    assert task["JobDefinition"] == step["name"]
    command = step["container"]["command"]
    assert command == [JOB_OF_STATE[state]]
    values = {"QUARTER": "2023Q1", "S3_BUCKET": f"file://{tmp_path}", "RUN_NAME": "smoke-test"}
    values |= {"BATCH_ID": keys.batch_id(Quarter(2023, 1), 1), "RESTART": "false"}
    given = [pair["Name"] for pair in task["ContainerOverrides"]["Environment"]]
    environment = {name: values[name] for name in given}

    # Nothing is ingested: with all its variables the job gets as far as saying so.
    with caplog.at_level(logging.ERROR):
        assert worker.main(command, environment) == ExitCode.USAGE
    assert "environment variable" not in caplog.text

    for name in set(given) - {"RESTART"}:
        caplog.clear()
        without = {key: value for key, value in environment.items() if key != name}
        with caplog.at_level(logging.ERROR):
            assert worker.main(command, without) == ExitCode.USAGE
        assert f"environment variable {name}" in caplog.text


def test_fault_26_the_plan_is_where_the_map_reads_it(
    quarter_processor: Mapping[str, Any],
) -> None:
    reader = quarter_processor["States"]["ProcessBatches"]["ItemReader"]["Parameters"]
    quarter = Quarter(2023, 1)
    assert _formatted(reader["Key.$"], "2023Q1") == keys.batches(quarter)
    head = quarter_processor["States"]["CheckTranscripts"]["Parameters"]
    assert _formatted(head["Key.$"], "2023Q1") == keys.transcripts_manifest(quarter)


def _formatted(intrinsic: str, *values: str) -> str:
    template = re.match(r"States\.Format\('([^']*)'", intrinsic)
    assert template is not None
    return template.group(1).format(*values)


def test_fault_26_the_jobs_role_covers_every_key() -> None:
    quarter = Quarter(2023, 1)
    batch = keys.batch_id(quarter, 1)
    written = [
        keys.run_identity(quarter),
        keys.batches(quarter),
        keys.checkpoint(quarter, batch),
        keys.failures(quarter, batch),
        keys.firm_topics_part(quarter, batch, 1),
        keys.sentences_part(quarter, batch, 1),
        keys.themes(quarter),
        keys.theme_contributions(quarter),
        keys.theme_exposures(quarter),
        keys.sentiment_ready(quarter),
        keys.answers_prefix(quarter),
        *(keys.processed_table(table, quarter) for table in keys.PROCESSED_TABLES),
    ]
    written_prefixes = _prefixes("writable_prefixes")
    read_prefixes = _prefixes("readable_prefixes")
    transcripts = keys.transcripts_chunk(quarter, 1)
    for key in written:
        assert key.startswith(written_prefixes), key
    for key in [*written, keys.transcripts_manifest(quarter), transcripts]:
        assert key.startswith(read_prefixes), key
    assert not transcripts.startswith(written_prefixes)


def _prefixes(name: str) -> tuple[str, ...]:
    text = (ROOT / "infra" / "terraform" / "roles" / "main.tf").read_text(encoding="utf-8")
    written = re.search(rf"^  {name}\s*= (\[.*\])$", text, re.MULTILINE)
    assert written is not None
    return tuple(json.loads(written.group(1)))


@pytest.mark.parametrize(
    ("address", "schema"),
    [
        ('aws_glue_catalog_table.datasets["firms"]', schemas.FIRMS),
        ('aws_glue_catalog_table.datasets["sentences"]', schemas.SENTENCES),
        ('aws_glue_catalog_table.datasets["topics"]', schemas.TOPICS),
        ('aws_glue_catalog_table.datasets["themes_for_sentiment"]', schemas.THEMES_FOR_SENTIMENT),
        ('aws_glue_catalog_table.views["themes"]', schemas.THEMES),
        ('aws_glue_catalog_table.views["theme_contributions"]', schemas.THEME_CONTRIBUTIONS),
        ('aws_glue_catalog_table.views["theme_exposures"]', schemas.THEME_EXPOSURES),
    ],
)
def test_fault_26_athena_sees_the_columns_that_are_written(
    verdicts: Verdicts, address: str, schema: pa.Schema
) -> None:
    table = verdicts["batch"].plans["second_pass"][address]
    columns = {
        column["name"]: column["type"] for column in table["storage_descriptor"][0]["columns"]
    }
    if table["table_type"] == "EXTERNAL_TABLE":
        assert [key["name"] for key in table["partition_keys"]] == ["quarter"]
        columns["quarter"] = "string"
    assert columns == {field.name: _glue_type(field.type) for field in schema}


@pytest.mark.parametrize(
    ("view", "key_of"),
    [
        ("themes", keys.themes),
        ("theme_contributions", keys.theme_contributions),
        ("theme_exposures", keys.theme_exposures),
    ],
)
def test_views_read_one_file_of_the_themes_folder(
    verdicts: Verdicts, view: str, key_of: Callable[[Quarter], str]
) -> None:
    table = verdicts["batch"].plans["second_pass"][f'aws_glue_catalog_table.views["{view}"]']
    encoded = re.match(r"/\* Presto View: (.*) \*/", table["view_original_text"])
    assert encoded is not None
    described = json.loads(base64.b64decode(encoded.group(1)))
    file = key_of(Quarter(2023, 1))
    assert f"LIKE '%/{file.rsplit('/', 1)[1]}'" in described["originalSql"]
    everything = verdicts["batch"].plans["second_pass"][
        'aws_glue_catalog_table.datasets["theme_files"]'
    ]
    known = {column["name"] for column in everything["storage_descriptor"][0]["columns"]}
    assert {column["name"] for column in described["columns"]} <= known | {"quarter"}


@pytest.mark.parametrize(
    ("table", "key"),
    [(name, keys.processed_table(name, Quarter(2023, 1))) for name in keys.PROCESSED_TABLES]
    + [
        ("theme_files", keys.themes(Quarter(2023, 1))),
        ("theme_files", keys.theme_contributions(Quarter(2023, 1))),
        ("theme_files", keys.theme_exposures(Quarter(2023, 1))),
        ("themes_for_sentiment", keys.sentiment_ready(Quarter(2023, 1))),
    ],
)
def test_fault_26_athena_looks_where_files_are_written(
    verdicts: Verdicts, table: str, key: str
) -> None:
    values = verdicts["batch"].plans["second_pass"][f'aws_glue_catalog_table.datasets["{table}"]']
    template = values["parameters"]["storage.location.template"]
    folder = template.replace("${quarter}", "2023Q1")
    assert folder == f"s3://some-research-bucket/{key.rsplit('/', 1)[0]}/"
    assert "2023Q1" in values["parameters"]["projection.quarter.values"].split(",")


def _glue_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"array<{_glue_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        inner = ",".join(f"{field.name}:{_glue_type(field.type)}" for field in kind)
        return f"struct<{inner}>"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    plain = {
        pa.string(): "string",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float64(): "double",
        pa.bool_(): "boolean",
        pa.date32(): "date",
    }
    return plain[kind]
