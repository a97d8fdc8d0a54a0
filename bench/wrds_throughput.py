"""Components a second and peak memory of `ftm ingest wrds`, against a PostgreSQL of its own.

Run from the project root: ``python -m bench.wrds_throughput 10000 100000``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from tests.fakes import wrds_tables
from tests.fakes.wrds_postgres import PostgresServer


def measure(server: PostgresServer, n_components: int) -> dict[str, float]:
    """Fetch ``n_components`` in a process of its own and return what it reports."""
    wrds_tables.load(server, wrds_tables.with_bulk(n_components))
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from ftm_cli.app import main; main()"),
                *("ingest", "wrds", "--quarter", "2023Q1", "--data", folder, "--json"),
            ],
            env={**os.environ, **server.environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    reported: dict[str, float] = json.loads(done.stdout)
    after = os.times()
    # Of the fetch alone: the server is no child that has been waited for.
    reported["cpu_seconds"] = sum(after[2:4]) - sum(before[2:4])
    return reported


def main() -> None:
    server = PostgresServer()
    try:
        for argument in sys.argv[1:] or ["10000", "100000"]:
            reported = measure(server, int(argument))
            rate = reported["components"] / reported["seconds"]
            print(
                f"{reported['components']:>9,} components  {reported['sentences']:>9,} sentences  "
                f"{reported['seconds']:6.1f} s ({reported['cpu_seconds']:.1f} s of CPU)  "
                f"{rate:7,.0f} components/s  "
                f"{reported['peak_memory_mib']:6.1f} MiB peak"
            )
    finally:
        server.close()


if __name__ == "__main__":
    main()
