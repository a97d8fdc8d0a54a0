"""Make a finished quarter's downstream tables anew, with the quarter held meanwhile."""

from __future__ import annotations

from ftm_core.contracts.events import Listener
from ftm_core.contracts.quarters import Quarter
from ftm_core.data import lease
from ftm_core.data.finished import open_finished
from ftm_core.storage import Storage
from ftm_core.themes.tables import DownstreamReport, write_downstream


def package_quarter(storage: Storage, quarter: Quarter, listener: Listener) -> DownstreamReport:
    """Write firms, sentences, topics and sentiment-ready from the map output and the themes.

    Raises InputError when the quarter is not finished or its files contradict one another,
    RunRefusedError when a run holds it.
    """
    inputs = open_finished(storage, quarter).identity.inputs
    name = lease.new_run_name(quarter)
    lease.acquire(storage, quarter, inputs, lease.this_process(name))
    written = False
    try:
        # Opened again: until it was held, another run could change it.
        finished = open_finished(storage, quarter)
        report = write_downstream(
            storage,
            finished.output,
            finished.manifest,
            run_id=finished.identity.run_id,
            listener=listener,
        )
        written = True
        return report
    finally:
        lease.release(storage, quarter, name, finished=written)
