"""The smoke test on AWS: preflight, plan, vLLM up, run, evaluate; always at 0 in the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ftm_cli.operations.aws.deployment import deploy_settings
from ftm_cli.operations.aws.errors import AwsMissingError
from ftm_cli.operations.aws.executions import SUCCEEDED, Execution, Executions
from ftm_cli.operations.aws.logs import Logs
from ftm_cli.operations.aws.preflight import check_aws
from ftm_cli.operations.aws.remote_run import LeftRunningError, RemoteRun, raise_if_failed
from ftm_cli.operations.aws.request_log import REQUESTS
from ftm_cli.operations.aws.session import AwsSession
from ftm_cli.operations.aws.vllm import Vllm
from ftm_cli.operations.aws.waiting import ignore_signals, stopped_by_signals
from ftm_cli.operations.plan import RunPlan
from ftm_cli.operations.smoke import SmokeTest, require_all
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener
from ftm_core.contracts.settings import PROJECT_FILE, resolve
from ftm_core.storage.s3 import S3Storage

ENDED = "The execution ends as SUCCEEDED"
REQUESTED = "vLLM's log shows /v1/chat/completions requests"
AT_ZERO = "Desired counts of vLLM are 0 at the end"
CRITERIA = (ENDED, REQUESTED, AT_ZERO)
STEPS = ("preflight", "plan", "vLLM up", "run", "evaluate", "failures", "vLLM down")


@dataclass(frozen=True)
class SmokeOnAws:
    """What one smoke test works with; its account is kept in ``test``, however it ends."""

    session: AwsSession
    plan: RunPlan
    run: RemoteRun
    test: SmokeTest

    def carry_out(self, listener: Listener) -> None:
        """All steps; desired counts are 0 afterwards, on success, failure and any stop signal.

        Raises the error of the step that failed, InterruptedRunError when it was stopped, and
        AwsError when vLLM cannot be taken down.
        """
        self.run.listen(listener)
        with stopped_by_signals(), self._at_zero_in_the_end(listener):
            with self.test.step("preflight", listener) as details:
                self._preflight(details, listener)
            ended = self._run(listener)
            if self.plan.scale == "auto":
                self._check_requests(ended)
            storage = S3Storage(self.session.client("s3"), self.plan.bucket)
            settings = resolve(project_file=Path(PROJECT_FILE)).settings
            self.test.evaluate(storage, settings, listener)

    def _preflight(self, details: list[str], listener: Listener) -> None:
        executions = Executions(self.session)
        settings = deploy_settings(self.session.pin, {"s3_bucket_name": self.plan.bucket})
        checks = check_aws(self.session, settings, self.plan.quarter, listener, modules=False)
        require_all(checks, details)
        executions.check_deployed()
        others = executions.others_running(None)
        if others:
            raise InputError(
                "The smoke test",
                f"would share vLLM with the run {', '.join(others)}",
                f"Wait for it (`ftm monitor {others[0]}`), then start the test again.",
            )

    def _run(self, listener: Listener) -> Execution:
        """VLLM is up for the run alone: evaluating needs no GPU."""
        with self.run.vllm_for_the_run():
            with self.test.step("plan", listener) as details:
                details.append(self.run.start().name)
                self.run.follow_plan()
            with self.test.step("vLLM up", listener) as details:
                self.run.bring_vllm_up()
                details.append(
                    f"{self.plan.instances} healthy"
                    if self.plan.scale == "auto"
                    else "not needed: the LLM is given by URL"
                )
            with self.test.step("run", listener) as details:
                ended = self.run.follow()
                self.test.tick(ENDED, ended.status == SUCCEEDED, ended.status)
                raise_if_failed(ended)
                details.append(f"{ended.name} {ended.status}")
        return ended

    def _check_requests(self, execution: Execution) -> None:
        """That vLLM itself logged requests during the run."""
        logs = Logs(self.session)
        count = sum(1 for _ in logs.events("vllm", execution.started, pattern=REQUESTS))
        if not count and not self.plan.estimate.firms:
            value = "none: the quarter was finished before, nothing was asked"
            self.test.tick(REQUESTED, None, value)
        else:
            self.test.tick(REQUESTED, count > 0, f"{count:,} requests")

    @contextlib.contextmanager
    def _at_zero_in_the_end(self, listener: Listener) -> Iterator[None]:
        try:
            yield
        except LeftRunningError:
            # The run still needs its vLLM; nothing could be taken down without a login.
            raise
        except BaseException:
            self._take_down(listener)
            raise
        self._take_down(listener)

    def _take_down(self, listener: Listener) -> None:
        with ignore_signals(), self.test.step("vLLM down", listener) as details:
            if self.plan.scale != "auto":
                details.append("not needed: the LLM is given by URL")
                return
            self.test.tick(AT_ZERO, False, "not known")
            if not self.run.vllm_is_off:
                self.run.take_vllm_down()
            try:
                status = Vllm(self.session).status()
            except AwsMissingError:
                value, is_off = "vLLM is not deployed", True
            else:
                is_off = status.desired_instances == status.desired_tasks == 0
                value = f"{status.desired_instances} instances, {status.desired_tasks} tasks"
            self.test.tick(AT_ZERO, is_off, value)
            details.append(value)
