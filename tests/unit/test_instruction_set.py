"""The numeric libraries are restricted before they are loaded, where the processor allows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ftm_core.instruction_set import use_one_instruction_set


def cpuinfo(folder: Path, flags: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n", encoding="ascii")
    return path


def test_a_processor_with_avx2_is_restricted_to_it(tmp_path: Path) -> None:
    environment = {"CT2_USE_MKL": "1"}
    use_one_instruction_set(environment, cpuinfo(tmp_path, "fma avx avx2 avx512f"))
    assert environment["CT2_FORCE_CPU_ISA"] == "AVX2"
    assert environment["CT2_USE_MKL"] == "0"
    assert environment["NUMBA_CPU_NAME"] == "x86-64-v3"


@pytest.mark.parametrize("flags", ["sse4_2 avx", "avx2", "fma", "asimd"])
def test_a_processor_without_avx2_is_left_alone(tmp_path: Path, flags: str) -> None:
    environment: dict[str, str] = {}
    use_one_instruction_set(environment, cpuinfo(tmp_path, flags))
    use_one_instruction_set(environment, tmp_path / "missing")
    assert environment == {}


@pytest.mark.parametrize("module", ["ftm_core.worker", "ftm_cli.app"])
def test_numpy_is_not_loaded_before_the_restriction(module: str) -> None:
    """NumPy and its BLAS read their variables once, at import."""
    probe = f"import sys, {module}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_numpy_takes_the_restriction() -> None:
    """Names of features change with NumPy's versions: an unknown one would only warn."""
    probe = (
        "from ftm_core.instruction_set import use_one_instruction_set as use; use()\n"
        "import warnings; warnings.simplefilter('error')\n"
        "import numpy"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
