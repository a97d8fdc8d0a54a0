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
from ftm_cli.operations.aws.remote_run import RemoteRun, raise_if_failed
from ftm_cli.operations.aws.run_diagnosis import RunDiagnosis, diagnosed_run
from ftm_cli.operations.aws.session import AwsSession, pinned_session
from ftm_cli.operations.aws.smoke_run import CRITERIA, STEPS, SmokeOnAws
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.aws.vllm_diagnosis import VllmDiagnosis
from ftm_cli.operations.costs import Prices, read_prices
from ftm_cli.operations.following import Monitor
from ftm_cli.operations.plan import Scale, plan_run
from ftm_cli.operations.smoke import SmokeTest
from ftm_cli.results.runs import Check, Finding, RunRecord, RunResult
from ftm_cli.targets.aws_quarters import ConcurrentRuns, aws_result, native_plan
from ftm_cli.targets.base import LogLine, QuarterOutcome, QuarterPlan, RunEstimate, RunOptions
from ftm_cli.targets.local import failed_outcome
from ftm_cli.targets.names import TargetName
from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.events import Listener, Note
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import PROJECT_FILE, resolve
from ftm_core.contracts.states import RunState
from ftm_core.data.lease import new_run_name, read_identity
from ftm_core.storage import Storage
from ftm_core.storage.s3 import S3Storage


class AwsTarget:
    """The pinned account and its bucket."""

    name = TargetName.AWS
    run_flags: frozenset[str] = frozenset({"--scale", "--instances", "--detach", "--at-once"})
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
            raise InputError(f"The scale {options.scale}", "is not known", "Use auto or none.")
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
        """One execution per quarter, a bounded number at once, all with the same vLLM.

        With scale auto vLLM is at 0 afterwards, and a stop signal stops the executions as well.
        """
        if len(plans) == 1:
            # Only its jobs know whether their settings are still those of a finished quarter.
            return [self._execute_one(plans[0], listener)]
        done = {plan.run: self._finished(plan) for plan in plans}
        open_plans = [plan for plan in plans if done[plan.run] is None]
        ended: dict[str, QuarterOutcome] = {}
        if open_plans:
            runs = ConcurrentRuns(
                {plan.run: self._remote_run(plan, listener) for plan in open_plans},
                open_plans,
                Executions(self._session),
                self.storage(),
                listener,
            )
            ended = runs.run(at_once=options.at_once)
        outcomes = []
        for plan in plans:
            finished = done[plan.run]
            if finished is not None:
                outcomes.append(QuarterOutcome(finished))
            elif plan.run in ended:
                outcomes.append(ended[plan.run])
        return outcomes

    def _execute_one(self, plan: QuarterPlan, listener: Listener) -> QuarterOutcome:
        began = dt.datetime.now(dt.UTC)
        try:
            return QuarterOutcome(aws_result(self._remote_run(plan, listener).run()))
        except FtmError as error:
            seconds = (dt.datetime.now(dt.UTC) - began).total_seconds()
            return failed_outcome(plan, error, seconds)

    def _finished(self, plan: QuarterPlan) -> RunResult | None:
        """The result of a quarter that an earlier run finished without a failed firm."""
        identity = read_identity(self.storage(), plan.quarter)
        if identity is None or not identity.finished or plan.restart:
            return None
        if plan.firms_finished < plan.firms:
            return None
        return RunResult(
            quarter=str(plan.quarter),
            run=identity.run_id,
            state=RunState.SUCCEEDED,
            nothing_to_do=True,
        )

    def start(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> list[RunResult]:
        """Start the executions and return; the deadman switch takes vLLM down after the runs."""
        results = []
        for plan in plans:
            started = self._remote_run(plan, listener).start_detached()
            listener(Note(f"Started {plan.run}. `ftm monitor {plan.run}` watches it."))
            results.append(aws_result(started))
        if options.scale == "auto":
            listener(Note("The deadman switch takes vLLM down after the run."))
        return results

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
        # A smoke test is named without its quarter: only its input has it.
        found = (
            execution if _quarter_in(execution.name) else executions.describe(execution.arn)
            for execution in executions.recent(limit=limit)
        )
        return [_record(execution, prices, kind) for execution in found]

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

    def cancel(self, run: str, listener: Listener) -> int:
        """Stop an execution and its jobs; vLLM is left to the command that brought it up."""
        executions = Executions(self._session)
        found = executions.describe(run)
        if not found.is_running:
            raise InputError(
                f"The run {run}",
                f"has already ended as {found.status}",
                "Find a run that is running with `ftm runs`.",
            )
        executions.stop(found, "ftm cancel")
        listener(Note(f"Stopped {found.name}; finished work is saved"))
        return 1

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
            reconnect=self._connect_again,
        )

    def _connect_again(self) -> tuple[Executions, Vllm, Storage]:
        """The parts of a run through a new session, which reads renewed credentials."""
        session = pinned_session()
        storage = S3Storage(session.client("s3"), self.bucket)
        return Executions(session), Vllm(session), storage


def bucket_of(data: str) -> str:
    """The bucket that ``--data`` names; a prefix or folder is refused."""
    bucket, _, prefix = data.removeprefix("s3://").partition("/")
    if not data.startswith("s3://") or not bucket or prefix.strip("/"):
        raise InputError(
            f"The data location {data}",
            "is not a whole bucket",
            "Give s3://BUCKET on AWS, or leave --data out.",
        )
    return bucket


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
