"""What an installation without an extra says, and that every import belongs to some part of it."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from ftm_core.contracts.extras import EXTRAS, MissingExtraError, missing_extra, require_extra
from ftm_core.worker import open_data

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = PROJECT["optional-dependencies"]
# Installed by the package beside it, which imports and pins it anyway.
COMES_WITH = {"botocore": "boto3", "s3transfer": "boto3", "urllib3": "boto3"}


@functools.cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ;]", requirement)[0].lower().replace("_", "-")


def distribution_of(module: str) -> str:
    found = installed().get(module, [module])
    return COMES_WITH.get(module, name_of(found[0]))


def imported(module: str, seen: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Outside modules that a module of ours imports anywhere, with all that it imports of ours."""
    for name in (".".join(module.split(".")[:n]) for n in range(1, module.count(".") + 2)):
        path = ROOT / name.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in seen or not path.is_file():
            continue
        seen[name] = module
        for found in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
            top = found.partition(".")[0]
            if top in {"ftm_core", "ftm_cli"}:
                yield from imported(found, seen)
            elif top not in sys.stdlib_module_names:
                yield top, name


def imports_of(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield str(child.module)
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from imports_of(child)


def closure(module: str) -> dict[str, str]:
    return dict(imported(module, {}))


def test_worker_extra_is_what_the_worker_imports() -> None:
    """Fault: the image held a list of its own, and lacked a package for a week (D1)."""
    wanted = {distribution_of(module): user for module, user in closure("ftm_core.worker").items()}
    given = {name_of(line) for line in OPTIONAL["worker"]}
    missing = {name: user for name, user in wanted.items() if name not in given}
    assert not missing, f"add these to the extra `worker`, or import them elsewhere: {missing}"
    assert not given - set(wanted), "nothing that the worker imports needs these"


def test_worker_never_imports_the_command_line() -> None:
    seen: dict[str, str] = {}
    outside = {module for module, _ in imported("ftm_core.worker", seen)}
    assert not {name for name in seen if name.startswith("ftm_cli")}
    assert not outside & {"typer", "rich", "click"}


def test_worker_extra_asks_for_the_same_versions() -> None:
    others = PROJECT["dependencies"] + OPTIONAL["models"] + OPTIONAL["aws"]
    assert set(OPTIONAL["worker"]) <= set(others)


def test_every_import_belongs_to_a_part_of_the_install() -> None:
    base = {name_of(line) for line in PROJECT["dependencies"]}
    by_extra = {module: extra for extra, modules in EXTRAS.items() for module in modules}
    # `ftm` imports each command by name, when it is needed.
    commands = sorted(
        f"ftm_cli.commands.{file.stem}" for file in ROOT.glob("ftm_cli/commands/[a-z]*.py")
    )
    imports: dict[str, str] = {}
    for module in ("ftm_cli.app", "ftm_core.worker", *commands):
        imports |= closure(module)
    for module, user in imports.items():
        extra = by_extra.get(module)
        listed = base if extra is None else {name_of(line) for line in OPTIONAL[extra]}
        assert distribution_of(module) in listed, f"{user} imports {module}, listed nowhere"


def test_modules_of_extras_are_not_in_the_base_install() -> None:
    base = {name_of(line) for line in PROJECT["dependencies"]}
    for extra, modules in EXTRAS.items():
        names = {name_of(line) for line in OPTIONAL[extra]}
        for module in modules:
            assert distribution_of(module) in names - base, f"{module} is not of {extra} alone"


@pytest.mark.parametrize(("extra", "module"), [("models", "torch"), ("wrds", "psycopg")])
def test_require_extra_without_a_package_names_it(
    extra: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_extra(extra, "A run")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"^A run needs .*{module}.*'ftm\[{extra}\]'"):
        require_extra(extra, "A run")


def test_worker_without_the_command_line_opens_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image has the extra `worker`: no package that only the command line needs."""
    given = {name_of(line) for line in OPTIONAL["worker"]}
    absent = [module for module in EXTRAS["aws"] if distribution_of(module) not in given]
    assert "python_terraform" in absent
    for module in absent:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert open_data("some-bucket").uri == "s3://some-bucket"


def test_missing_extra_knows_only_our_own_modules() -> None:
    found = missing_extra(ModuleNotFoundError("no", name="plotly.graph_objects"))
    assert found is not None
    assert "ftm[report]" in found.hint
    assert missing_extra(ModuleNotFoundError("no", name="nothing_of_ours")) is None
    assert missing_extra(ValueError("plotly")) is None
