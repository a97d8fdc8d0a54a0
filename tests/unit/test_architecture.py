"""The shape of the code: imports point one way, importing has no effect, each file a purpose."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path for package in ("ftm_core", "ftm_cli") for path in (REPOSITORY / package).rglob("*.py")
)
ALL_CODE = [*MODULES, *sorted((REPOSITORY / "tests").rglob("*.py"))]

HEAVY = (
    "bertopic", "boto3", "botocore", "duckdb", "gensim", "hdbscan", "pandas", "pyarrow",
    "sentence_transformers", "sklearn", "torch", "transformers", "umap", "xllamacpp",
)  # fmt: skip
NOT_AT_IMPORT = {"TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'"}
# The containers' entry point: it makes the clients that the rest is handed.
ENTRY_POINT = "ftm_core.worker"
# What each layer may import of our own code.
LAYERS = {
    "ftm_core.contracts": ("ftm_core.contracts",),
    "ftm_core": ("ftm_core",),
    "ftm_cli.operations": ("ftm_cli.operations", "ftm_core"),
    "ftm_cli": ("ftm_cli", "ftm_core"),
}


def name_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module: str) -> str:
    return max((layer for layer in LAYERS if is_within(module, layer)), key=len)


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Each module imported anywhere in a file, and whether that happens when it is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_import = set(statements_at_import(tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in at_import
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            assert node.module is not None
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node in at_import


def statements_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, by the interpreter and as no script."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in NOT_AT_IMPORT:
            continue
        yield node
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from statements_at_import(getattr(node, part, []))


def calls_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    module = name_of(path)
    allowed = LAYERS[layer_of(module)]
    for imported, _ in imports_of(path):
        if imported.split(".")[0] in {"ftm_core", "ftm_cli", "tests"}:
            assert any(is_within(imported, package) for package in allowed), (
                f"{module} must not import {imported}"
            )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_terminal_libraries_stay_in_the_commands(path: Path) -> None:
    if layer_of(name_of(path)) == "ftm_cli":
        return
    for imported, _ in imports_of(path):
        assert imported.split(".")[0] not in {"typer", "rich", "click"}, (
            f"{name_of(path)} imports {imported}"
        )


@pytest.mark.parametrize("path", [p for p in MODULES if "ftm_core" in p.parts], ids=name_of)
def test_core_is_handed_its_aws_clients(path: Path) -> None:
    if name_of(path) == ENTRY_POINT:
        return
    made = [call for call in calls_of(path) if call.endswith((".client", ".resource", "Session"))]
    assert not [call for call in made if "boto" in call or "session" in call.lower()]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_runs_at_import(path: Path) -> None:
    """A module only defines; a bare call while it is imported would be an effect."""
    module = name_of(path)
    for node in statements_at_import(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = ast.unparse(node.value.func)
            # Typer is told of its commands by calls; that touches nothing but the app.
            allowed = module == "ftm_cli.app" and called in {"_register", "app.add_typer"}
            assert allowed, f"{module} calls {called} at import"


@pytest.mark.parametrize("path", ALL_CODE, ids=name_of)
def test_the_first_line_states_the_purpose(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if not text:
        return
    first = text.splitlines()[0].removeprefix("#!")
    assert first.startswith('"""'), f"{path} does not begin with a docstring"
    assert len(first) > 15


@pytest.mark.parametrize(
    "module",
    [
        "ftm_core.contracts.errors",
        "ftm_core.contracts.events",
        "ftm_core.contracts.keys",
        "ftm_core.contracts.quarters",
        "ftm_core.contracts.records",
        "ftm_core.contracts.settings",
        "ftm_cli.app",
    ],
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{n.split('.')[0] for n in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )

    assert not set(loaded.stdout.split()) & set(HEAVY)


def test_helping_loads_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['ftm', '--help']\nfrom ftm_cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(*sorted({n.split('.')[0] for n in sys.modules}), file=sys.stderr)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )

    assert "run" in loaded.stdout
    assert not set(loaded.stderr.split()) & set(HEAVY)
