"""The result of each command by the name that `ftm schema` takes."""

from __future__ import annotations

from typing import Any

from ftm_cli.results import ingest, quarters, runs, setup
from ftm_cli.results.base import Result, RootResult

# By the name that `ftm schema` takes: the command, and -plan for its --plan or --dry-run.
SCHEMAS: dict[str, type[Result] | type[RootResult[Any]]] = {
    "ingest": ingest.IngestResult,
    "ingest-preview": ingest.PreviewResult,
    "ingest-wrds": ingest.WrdsResult,
    "merge-identifiers": ingest.MergeIdentifiersResult,
    "run": runs.RunReport,
    "plan": runs.PlanReport,
    "step-plan": runs.PlanStepResult,
    "step-map": runs.MapStepResult,
    "step-reduce": runs.ReduceStepResult,
    "cancel": runs.CancelReport,
    "smoke": runs.SmokeReport,
    "monitor": runs.MonitorReport,
    "runs": runs.RunsReport,
    "doctor": runs.DoctorReport,
    "validate": runs.ValidateReport,
    "evaluate": quarters.EvaluateReport,
    "failures": quarters.FailuresResult,
    "quality": quarters.QualityReportResult,
    "themes": quarters.ThemesReport,
    "browse": quarters.BrowseReport,
    "export": quarters.ExportReport,
    "report": quarters.ReportReport,
    "package": quarters.PackageReport,
    "config": setup.ConfigReport,
    "pin-profile": setup.PinReport,
    "models": setup.ModelsReport,
    "models-fetch": setup.ModelReport,
    "build": setup.BuildReport,
    "deploy": setup.DeployReport,
    "deploy-plan": setup.DeployPlanReport,
    "deploy-roles": setup.RolesReport,
    "destroy": setup.DeployReport,
    "vllm": setup.VllmReport,
    "vllm-plan": setup.VllmPlanReport,
    "logs": setup.LogLineResult,
}


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of what a command prints, values that it computes included."""
    return SCHEMAS[name].model_json_schema(mode="serialization")
