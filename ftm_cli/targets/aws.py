"""Runs in the pinned AWS account: one Step Functions execution per quarter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast, get_args

from ftm_cli.operations.aws.deployment import deploy_settings
from ftm_cli.operations.aws.executions import Execution, Executions
from ftm_cli.operations.aws.logs import Logs
from ftm_cli.operations.aws.monitoring import AwsMonitor
from ftm_cli.operations.aws.outputs import deployed_bucket, deployed_instance_type
from ftm_cli.operations.aws.preflight import check_aws
from ftm_cli.operations.aws.remote_run import RemoteOutcome, RemoteRun, raise_if_failed
from ftm_cli.operations.aws.run_diagnosis import RunDiagnosis, diagnosed_run
from ftm_cli.operations.aws.session import AwsSession, pinned_session
from ftm_cli.operations.aws.smoke_run import CRITERIA, STEPS, SmokeOnAws
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.aws.vllm_diagnosis import VllmDiagnosis
from ftm_cli.operations.costs import Prices, read_prices
from ftm_cli.operations.findings import Finding
from ftm_cli.operations.following import Monitor
from ftm_cli.operations.plan import RunPlan, Scale, plan_run
from ftm_cli.operations.preflight import Check
from ftm_cli.operations.smoke import SmokeTest
from ftm_cli.targets.base import (
    LogLine,
    QuarterOutcome,
    QuarterPlan,
    RunEstimate,
    RunOptions,
    RunRecord,
)
from ftm_cli.targets.local import failed_outcome
from ftm_cli.targets.names import TargetName
from ftm_cli.targets.results import AwsRunDetails, FirmCounts, RunResult
from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.events import Listener, Note
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import PROJECT_FILE, resolve
from ftm_core.contracts.states import RunState
from ftm_core.data.lease import new_run_name
from ftm_core.storage import Storage
from ftm_core.storage.s3 import S3Storage


class AwsTarget:
    """The pinned account and its bucket."""

    name = TargetName.AWS
    run_flags: frozenset[str] = frozenset({"--scale", "--instances", "--detach"})
    costs_money = True
    smoke_steps: tuple[str, ...] = STEPS
    smoke_criteria: tuple[str, ...] = CRITERIA

    def __init__(self, data: str | None) -> None:
        self._session: AwsSession = pinned_session()
        self._named = None if data is None else bucket_of(data)

    @cached_property
    def bucket(self) -> str:
        """The bucket that ``--data`` names, or the deployed one."""
        return self._named or deployed_bucket()

    @property
    def data(self) -> str:
        """URI of the bucket; empty while none is named or deployed."""
        try:
            return f"s3://{self.bucket}"
        except FtmError:
            return ""

    @property
    def location(self) -> str:
        """Account, region and bucket, for people."""
        pin = self._session.pin
        bucket = self.data or "no bucket is deployed yet"
        return f"account {pin.account_id} in {pin.region}, {bucket}"

    def storage(self) -> Storage:
        """Storage of the bucket."""
        return S3Storage(self._session.client("s3"), self.bucket)

    def preflight(self, quarter: Quarter | None, listener: Listener) -> Sequence[Check]:
        """Tools, modules, login, bucket, images, quotas and, for a quarter, its transcripts."""
        given = {"s3_bucket_name": self._named}
        settings = deploy_settings(self._session.pin, given, bucket_needed=False)
        return check_aws(self._session, settings, quarter, listener)

    def plan(self, quarter: Quarter, options: RunOptions) -> QuarterPlan:
        """Batches, time and cost."""
        if options.scale not in get_args(Scale):
            raise InputError(f"--scale {options.scale}", "is not known", "Use auto or none.")
        native = plan_run(
            self.storage(),
            quarter,
            read_prices(),
            bucket=self.bucket,
            execution_name=options.run_name or new_run_name(quarter),
            scale=cast(Scale, options.scale),
            instances=options.instances,
            batch_size=resolve(project_file=Path(PROJECT_FILE)).settings.map.batch_size,
            restart=options.restart,
            instance_type=deployed_instance_type(),
        )
        estimate = native.estimate
        return QuarterPlan(
            target=self.name,
            quarter=quarter,
            data=self.data,
            run=native.execution_name,
            restart=options.restart,
            batches=native.batches,
            estimate=RunEstimate(estimate.seconds, estimate.total_usd, estimate.note),
            native=native,
        )

    def execute(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[QuarterOutcome]:
        """Each execution followed to its end; with scale auto vLLM is at 0 afterwards."""
        outcomes = []
        for plan in plans:
            began = dt.datetime.now(dt.UTC)
            try:
                ended = self._remote_run(plan, listener).run()
            except FtmError as error:
                seconds = (dt.datetime.now(dt.UTC) - began).total_seconds()
                outcomes.append(failed_outcome(plan, error, seconds))
                break
            outcomes.append(QuarterOutcome(aws_result(ended)))
        return outcomes

    def start(self, plan: QuarterPlan, options: RunOptions, listener: Listener) -> RunResult:
        """Start the execution and return; the deadman switch takes vLLM down after the run."""
        started = self._remote_run(plan, listener).start_detached()
        listener(
            Note(f"Started {plan.run}. `ftm monitor {plan.run}` watches it."),
        )
        if options.scale == "auto":
            listener(Note("The deadman switch takes vLLM down after the run."))
        return aws_result(started)

    def observe(self, run: str | None) -> Monitor:
        """A monitor of one execution; it names its own bucket."""
        return AwsMonitor(pinned_session, run)

    def raise_if_failed(self, monitor: Monitor) -> None:
        """Raise the error that fits the end of the execution."""
        assert isinstance(monitor, AwsMonitor)
        raise_if_failed(monitor.execution())

    def history(self, limit: int) -> Sequence[RunRecord]:
        """Executions with vLLM's cost: one instance for the time of each."""
        executions = Executions(self._session)
        prices, kind = read_prices(), deployed_instance_type()
        return [_record(execution, prices, kind) for execution in executions.recent(limit=limit)]

    def diagnose(self, run: str | None) -> Iterator[Finding]:
        """The execution, its jobs and their logs, recorded failures, and vLLM."""
        executions = Executions(self._session)
        found = diagnosed_run(executions, run)
        if isinstance(found, Execution):
            yield from RunDiagnosis(self._session, found).findings()
        else:
            yield found
        is_needed = bool(executions.others_running(None))
        yield from VllmDiagnosis(self._session).findings(is_needed=is_needed)

    def logs(
        self, source: str, since: dt.timedelta, pattern: str | None, *, follow: bool
    ) -> Iterator[LogLine | None]:
        """Lines of vLLM's or the jobs' log group."""
        start = dt.datetime.now(dt.UTC) - since
        logs = Logs(self._session)
        if follow:
            for event in logs.follow(source, start, pattern=pattern):
                yield None if event is None else LogLine(event.time, event.stream, event.message)
            return
        for event in logs.events(source, start, pattern=pattern):
            yield LogLine(event.time, event.stream, event.message)

    def smoke(self, plan: QuarterPlan, test: SmokeTest, listener: Listener) -> None:
        """Preflight, vLLM up, run, evaluate, failures, vLLM down."""
        run = self._remote_run(plan, listener)
        SmokeOnAws(self._session, native_plan(plan), run, test).carry_out(listener)

    def smoke_options(self, *, restart: bool) -> RunOptions:
        """How the smoke test runs: with vLLM where the deployment has one."""
        uses_vllm = deploy_settings(self._session.pin, bucket_needed=False).uses_vllm
        return RunOptions(
            restart=restart,
            scale="auto" if uses_vllm else "none",
            run_name=f"smoke-test-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}",
        )

    def _remote_run(self, plan: QuarterPlan, listener: Listener) -> RemoteRun:
        return RemoteRun(
            native_plan(plan),
            Executions(self._session),
            Vllm(self._session),
            self.storage(),
            listener=listener,
        )


def bucket_of(data: str) -> str:
    """The bucket that ``--data`` names; a prefix or folder is refused."""
    bucket, _, prefix = data.removeprefix("s3://").partition("/")
    if not data.startswith("s3://") or not bucket or prefix.strip("/"):
        raise InputError(
            f"--data {data}", "is not a whole bucket", "On AWS give s3://BUCKET, or leave it out."
        )
    return bucket


def native_plan(plan: QuarterPlan) -> RunPlan:
    """The plan of the execution."""
    assert isinstance(plan.native, RunPlan)
    return plan.native


def aws_result(ended: RemoteOutcome) -> RunResult:
    """The result of an execution that ended, or that was started."""
    found, execution = ended.progress, ended.execution
    firms = None
    if found is not None:
        firms = FirmCounts(total=found.firms, finished=found.finished, failed=found.failed)
    return RunResult(
        quarter=execution.quarter or "",
        run=execution.name,
        state=RunState(execution.status),
        nothing_to_do=False,
        firms=firms,
        seconds=round(execution.seconds(dt.datetime.now(dt.UTC))),
        aws=AwsRunDetails(execution_arn=execution.arn, vllm_is_off=ended.vllm_is_off),
    )


def _record(execution: Execution, prices: Prices, instance_type: str) -> RunRecord:
    seconds = execution.seconds(dt.datetime.now(dt.UTC))
    return RunRecord(
        target=TargetName.AWS,
        run=execution.name,
        quarter=execution.quarter or _quarter_in(execution.name),
        state=execution.status,
        started=execution.started.astimezone(dt.UTC).isoformat(timespec="seconds"),
        seconds=round(seconds),
        cost_usd=round(prices.vllm_hourly(1, instance_type) * seconds / 3600, 2),
    )


def _quarter_in(name: str) -> str:
    """The quarter that an execution is named after; empty where it is named otherwise."""
    head = name.split("-", 1)[0]
    return head if len(head) == 6 and head[4] == "Q" else ""
