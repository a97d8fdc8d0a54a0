"""Submit runs to Slurm: plan their jobs, write their scripts, hand them to the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ftm_cli.operations.local_run import local_settings
from ftm_cli.results.runs import RunResult
from ftm_cli.targets.base import QuarterPlan, RunOptions
from ftm_cli.targets.local import plan_on_this_data
from ftm_cli.targets.names import TargetName
from ftm_cli.targets.slurm.cluster import Cluster
from ftm_cli.targets.slurm.config import SlurmConfig
from ftm_cli.targets.slurm.scripts import SUBMIT, RunScripts, render
from ftm_core import pipeline
from ftm_core.contracts.errors import RunRefusedError
from ftm_core.contracts.events import Listener, Note, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import Settings, setting_fields
from ftm_core.contracts.states import RunState
from ftm_core.data import lease
from ftm_core.storage import Storage


@dataclass(frozen=True)
class SlurmPlan:
    """What one quarter's jobs are made from, besides the common plan."""

    scripts: RunScripts
    settings: Settings


@dataclass(frozen=True)
class Submitter:
    """Makes jobs of quarters in one data location, and submits them to a cluster."""

    storage: Storage
    config: SlurmConfig
    cluster: Cluster

    def serves(self, flags: Mapping[str, object]) -> str | None:
        """The model that a job on the GPU partition serves; None where the LLM is elsewhere."""
        settings = local_settings(flags)
        named = settings.llm.base_url or settings.llm.local_model
        if not self.config.gpu_partition or named:
            return None
        pending = local_settings({**flags, "llm.base_url": "http://pending.invalid/v1"})
        return pending.llm.model_name

    def settings(self, flags: Mapping[str, object]) -> Settings:
        """Settings of the jobs: with a GPU partition the LLM is a server, not the bundled model."""
        if self.serves(flags) is None:
            return local_settings(flags)
        return local_settings({**flags, "llm.base_url": "http://pending.invalid/v1"})

    def plan(self, quarter: Quarter, options: RunOptions) -> QuarterPlan:
        """Batches, and the time that an earlier run in this data location lets expect."""
        settings = self.settings(options.settings)
        plan = plan_on_this_data(TargetName.SLURM, self.storage, quarter, options, settings)
        open_tasks = tuple(
            number for number, batch in enumerate(plan.batches) if batch.finished < batch.firms
        )
        scripts = RunScripts(
            quarter=str(quarter),
            run=plan.run,
            data=self.storage.uri,
            tasks=open_tasks,
            restart=options.restart,
            max_firms=options.max_firms,
        )
        return replace(plan, native=SlurmPlan(scripts, settings))

    def scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> dict[str, str]:
        """Name and text of every script that ``start`` would submit."""
        folder = options.save_scripts or self._folder(plans)
        return render(
            [native_plan(plan).scripts for plan in plans],
            self.config,
            folder.resolve(),
            environment=_environment(options.settings),
            serves=self.serves(options.settings),
        )

    def save_scripts(self, plans: Sequence[QuarterPlan], options: RunOptions) -> Path:
        """Write the scripts into their folder, to be read, edited and submitted."""
        folder = (options.save_scripts or self._folder(plans)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.scripts(plans, options).items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
        return folder

    def submit(
        self, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
    ) -> dict[str, RunResult]:
        """Submit the quarters that are not finished; raises before anything is submitted."""
        results = {}
        open_plans = []
        for plan in plans:
            finished = self._finished(plan, options)
            if finished is None:
                self._require_free(plan)
                open_plans.append(plan)
            results[plan.run] = RunResult(
                quarter=str(plan.quarter),
                run=finished or plan.run,
                state=RunState.SUCCEEDED if finished else RunState.PENDING,
                nothing_to_do=finished is not None,
            )
        if open_plans:
            folder = self.save_scripts(open_plans, options)
            self.cluster.submit(str(folder / SUBMIT))
            for plan in open_plans:
                listener(Note(f"Submitted {plan.run}; scripts and logs are in {folder}"))
        return results

    def _folder(self, plans: Sequence[QuarterPlan]) -> Path:
        name = plans[0].run if not plans[1:] else f"{plans[0].run}-to-{plans[-1].quarter}"
        return self.config.folder.resolve() / name

    def _finished(self, plan: QuarterPlan, options: RunOptions) -> str | None:
        request = pipeline.RunRequest(
            storage=self.storage,
            quarter=plan.quarter,
            settings=native_plan(plan).settings,
            run_name=plan.run,
            listener=ignore,
            restart=plan.restart,
            max_firms=options.max_firms,
        )
        identity = pipeline.find_completed_run(request)
        return identity.run_id if identity else None

    def _require_free(self, plan: QuarterPlan) -> None:
        """Refuse a quarter whose run has jobs in the queue; release the lease of one that has not.

        Its jobs may all have ended without a reduce that would have released it.
        """
        identity = lease.read_identity(self.storage, plan.quarter)
        owner = identity.owner if identity else None
        others = {job.run for job in self.cluster.jobs() if job.is_step}
        if owner is not None and owner.process_namespace.startswith(lease.SCHEDULED):
            if owner.run_name not in others:
                lease.release(self.storage, plan.quarter, owner.run_name, finished=False)
            else:
                raise RunRefusedError(
                    f"The quarter {plan.quarter}",
                    f"is leased to the run {owner.run_name}, whose jobs are in the queue",
                    f"Wait for it (`ftm monitor --target slurm {owner.run_name}`), or stop it: "
                    f"`ftm cancel --target slurm {owner.run_name}`.",
                )


def native_plan(plan: QuarterPlan) -> SlurmPlan:
    """The plan of the jobs."""
    assert isinstance(plan.native, SlurmPlan)
    return plan.native


def _environment(flags: Mapping[str, object]) -> dict[str, str]:
    """Settings that were given as flags, as the variables that the steps read."""
    variables = {}
    for group, name, info in setting_fields():
        value = flags.get(f"{group}.{name}")
        extra = info.json_schema_extra
        if value is not None and isinstance(extra, dict):
            variables[str(extra["env"])] = str(value)
    return variables
