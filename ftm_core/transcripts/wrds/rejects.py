"""The list of what WRDS has no text for, kept beside the chunks."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple

from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_store import TranscriptStore
from ftm_core.storage.base import Storage
from ftm_core.transcripts.rejects import COLUMNS
from ftm_core.transcripts.results import Reject
from ftm_core.transcripts.wrds.planning import Plan, PlannedCall

_TABLE = "ciq.ciqtranscriptcomponent"


def write_rejects(storage: Storage, quarter: Quarter, plan: Plan) -> int:
    """Write one line a call with blank components, its transcript id as row; returns their number.

    The file has the columns of every other source's rejects.
    """
    partly = [call for firm in plan.firms for call in firm.calls if call.n_blank]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for call in partly:
        writer.writerow(astuple(_reject(call, f"{call.n_blank} of {call.n_components} are blank")))
    for call in plan.silent:
        reason = f"all {call.n_blank} are blank" if call.n_components else "there is none"
        writer.writerow(astuple(_reject(call, f"{reason}: the call was left out")))
    store = TranscriptStore(storage, quarter)
    if partly or plan.silent:
        store.write_rejects(text.getvalue().encode())
    else:
        store.delete_rejects()
    return sum(call.n_blank for call in (*partly, *plan.silent))


def _reject(call: PlannedCall, reason: str) -> Reject:
    return Reject(_TABLE, call.transcript, "componenttext", f"company {call.company}", reason)
