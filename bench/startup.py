"""Time until `ftm --help` is shown, against importing what it is drawn with.

Run from the project root: ``python -m bench.startup [PAIRS]``.
"""

from __future__ import annotations

import subprocess
import sys

from bench.measuring import alternate, report

OURS = ("-c", "from ftm_cli.app import main; main()", "--help")
THEIRS = ("-c", "import typer, rich")


def run(arguments: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    n_pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    # Their compiled files are on the disk from here on.
    run(OURS)
    run(THEIRS)
    # The ratio is of the other's time to ours: here the small one is the floor.
    ratio = alternate(lambda _: run(THEIRS), lambda _: run(OURS), n_pairs)
    report("startup", {"times as long as `import typer, rich`": ratio})


if __name__ == "__main__":
    main()
