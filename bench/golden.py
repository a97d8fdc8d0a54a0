"""A golden quarter: freeze tables before a change of structure, and compare them after it.

    python -m bench.golden freeze FOLDER
    python -m bench.golden compare BEFORE AFTER

``freeze`` runs the sample quarter and a quarter of 60 MAEC firms through the command line, with an
LLM whose answers depend on the question alone. ``compare`` reports every table that differs, run
ids and timestamps aside, and exits with 1 when one does.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.corpus import maec_file

MODEL = "golden-model"
N_MAEC_FIRMS = 60
QUARTERS = {"sample": "2023Q1", "maec": "2017Q1"}
# What differs from run to run although the rows are the same, and the digest of the code.
_CHANGING = ("processing_timestamp", "prompt_version")
_SENTENCE = re.compile(r"[A-Z][^.?!:,]{20,}[.?!]")


def answer_to(body: dict[str, Any]) -> str:
    """An answer made of the question's own words, so that checks of grounding hold."""
    question = str(body["messages"][-1]["content"])
    words = " ".join(sorted(set(re.findall(r"[a-z]{4,}", question)))[:6])
    sentences = _SENTENCE.findall(question) or [f"The companies report on {words}."]
    chosen = sentences[int(hashlib.sha256(question.encode()).hexdigest(), 16) % len(sentences)]
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema is None:
        return " ".join(chosen.split()[:24])
    if schema.get("type") == "integer":
        # The number of a candidate.
        return "1"
    return json.dumps(dict.fromkeys(schema.get("properties", {}), chosen))


class _Handler(BaseHTTPRequestHandler):
    """The routes of an OpenAI-compatible server that ftm uses."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Health and the list of models."""
        self._reply({"data": [{"id": MODEL, "max_model_len": 4096}]})

    def do_POST(self) -> None:
        """A chat completion."""
        length = int(self.headers["Content-Length"])
        sent = self.rfile.read(length)
        if len(sent) < length:
            return  # A run that was stopped while it sent.
        body = json.loads(sent)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": answer_to(body)},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 20}
        self._reply({"model": MODEL, "choices": [choice], "usage": usage})

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def _reply(self, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    """A server that is silent about clients that were stopped."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a fault, unless it is that the client is gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def golden_llm() -> Iterator[str]:
    """The base URL of a local server that answers as ``answer_to`` does."""
    server = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def freeze(folder: Path) -> None:
    """Run both quarters into ``folder/sample`` and ``folder/maec``."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "maec_60.parquet"
    write_maec_firms(source)
    with golden_llm() as url:
        environment = {**os.environ, "LLM_BASE_URL": url, "LLM_MODEL_NAME": MODEL}
        for name, what in (("sample", "sample"), ("maec", str(source))):
            data = str(folder / name)
            quarter = QUARTERS[name]
            for command in (["ingest", what], ["run", "--restart"]):
                arguments = [*command, "--quarter", quarter, "--data", data]
                subprocess.run(
                    [sys.executable, "-m", "ftm_cli", *arguments], env=environment, check=True
                )


def write_maec_firms(target: Path) -> None:
    """The transcripts of the first MAEC firms, as a file to ingest."""
    table = pq.read_table(maec_file())
    firms = sorted(set(table["ticker"].to_pylist()))[:N_MAEC_FIRMS]
    pq.write_table(table.filter(pc.is_in(table["ticker"], value_set=pa.array(firms))), target)


def tables_of(folder: Path) -> dict[str, pa.Table]:
    """Every table below ``folder``; the parts of one intermediate table count as one."""
    found: dict[str, list[pa.Table]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        if path.name == "maec_60.parquet":
            continue
        name = re.sub(r"(_batch_\d{4})?_part_\d{4}", "", str(path.relative_to(folder)))
        found.setdefault(name, []).append(pq.read_table(path).replace_schema_metadata(None))
    return {name: _in_order(pa.concat_tables(parts)) for name, parts in found.items()}


def _in_order(table: pa.Table) -> pa.Table:
    """Parts hold firms in the order in which they were finished, which changes from run to run."""
    for key in ("sentence_id", "topic_id"):
        if key in table.schema.names:
            return table.sort_by([(key, "ascending")])
    return table


def difference(before: pa.Table, after: pa.Table) -> str | None:
    """How two tables differ, in words; None when they are equal but for what changes each run."""
    if before.schema.names != after.schema.names:
        removed = sorted(set(before.schema.names) - set(after.schema.names))
        added = sorted(set(after.schema.names) - set(before.schema.names))
        return f"columns removed {removed}, added {added}"
    if before.num_rows != after.num_rows:
        return f"{before.num_rows} rows before, {after.num_rows} after"
    for name in before.schema.names:
        if name in _CHANGING:
            continue
        old, new = before[name].to_pylist(), after[name].to_pylist()
        if old != new:
            row = next(
                n for n, (one, other) in enumerate(zip(old, new, strict=True)) if one != other
            )
            n_rows = sum(one != other for one, other in zip(old, new, strict=True))
            return (
                f"column {name} differs in {n_rows} of {len(old)} rows, first in row {row}: "
                f"{str(old[row])[:80]} -> {str(new[row])[:80]}"
            )
    return None


def compare(before: Path, after: Path) -> bool:
    """Print every table with its verdict; True when all are equal."""
    old, new = tables_of(before), tables_of(after)
    is_equal = True
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            verdict: str | None = "only before" if name in old else "only after"
        else:
            verdict = difference(old[name], new[name])
        is_equal = is_equal and verdict is None
        n_rows = (new if name in new else old)[name].num_rows
        print(
            f"{'equal' if verdict is None else 'DIFFERS'}  {name} ({n_rows} rows) {verdict or ''}"
        )
    return is_equal


def main() -> int:
    """Parse the command line and act."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("freeze").add_argument("folder", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    chosen = parser.parse_args()
    if chosen.command == "freeze":
        freeze(chosen.folder)
        return 0
    return 0 if compare(chosen.before, chosen.after) else 1


if __name__ == "__main__":
    sys.exit(main())
