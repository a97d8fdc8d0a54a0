"""ftm.toml and prices.toml however a person writes them: nothing is ignored, nothing remains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_cli.operations.aws.pin import clear_pin, read_pin, write_pin
from ftm_cli.operations.aws.project_file import read_table, write_table
from ftm_cli.operations.costs import estimate_run, read_prices
from ftm_cli.results.setup import Pin
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import resolve
from tests.integration.faults.conftest import ROOT

PIN = Pin("research", "123456789012", "us-west-2")
VALUES = 'profile = "old"\naccount_id = "210987654321"\nregion = "eu-west-1"\n'
FORMS = {
    "spaces": f"[ aws ]\n{VALUES}",
    "quotes": f'["aws"]\n{VALUES}',
    "dotted": "".join(f"aws.{line}\n" for line in VALUES.splitlines()),
    "inline": "aws = { " + VALUES.strip().replace("\n", ", ") + " }\n",
    # Forms that no report names.
    "comments": f"[aws] # ours\n# a note\n{VALUES}",
    "crlf": f"[aws]\n{VALUES}".replace("\n", "\r\n"),
    "apart": f'[aws.deploy]\nimage_tag = "a"\n[llm]\ntimeout = 30\n[aws]\n{VALUES}',
    "literal": f"['aws']\n{VALUES}".replace('"', "'"),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_pin_is_cleared_and_set_in_every_form(tmp_path: Path, form: str) -> None:
    """Class: TOML not written the way ftm writes it. Cleared is cleared, and a new pin is read."""
    path = tmp_path / "ftm.toml"
    others = "" if form == "apart" else "[llm]\ntimeout = 30 # measured\n"
    path.write_bytes((FORMS[form] + others).encode())
    assert read_pin(path) == Pin("old", "210987654321", "eu-west-1")
    write_pin(PIN, path)
    assert read_pin(path) == PIN
    assert clear_pin(path)
    assert read_pin(path) is None
    assert not clear_pin(path)
    write_pin(PIN, path)
    assert read_pin(path) == PIN
    assert read_table(path, "llm") == {"timeout": 30}
    assert ("# measured" in path.read_text()) == (form != "apart")
    if form == "apart":
        assert read_table(path, "aws.deploy") == {"image_tag": "a"}


NAMES = st.text("abcdefghijklmnop_", min_size=1, max_size=8)
SIMPLE = st.one_of(st.text(max_size=8), st.integers(-(10**6), 10**6), st.booleans())


@given(before=st.dictionaries(NAMES, SIMPLE, max_size=4), after=st.dictionaries(NAMES, SIMPLE))
def test_table_reads_back_what_was_written(
    tmp_path: Path, before: dict[str, object], after: dict[str, object]
) -> None:
    """Class: TOML not written the way ftm writes it: any values after any others."""
    path = tmp_path / "ftm.toml"
    path.write_text("# first\n[llm]\ntimeout = 30\n")
    for values in (before, after):
        write_table(path, "aws.deploy", values)
        assert read_table(path, "aws.deploy") == values
    assert path.read_text().startswith("# first\n[llm]\ntimeout = 30\n")


def test_pin_in_a_linked_or_read_only_file(tmp_path: Path) -> None:
    """Class: project files, further members: a link stays a link; a broken file stays as it is."""
    (tmp_path / "real.toml").write_text("# mine\n")
    link = tmp_path / "ftm.toml"
    link.symlink_to("real.toml")
    write_pin(PIN, link)
    assert link.is_symlink()
    assert read_pin(tmp_path / "real.toml") == PIN
    broken = tmp_path / "broken.toml"
    broken.write_text("[aws\n")
    with pytest.raises(InputError, match="cannot be read"):
        write_pin(PIN, broken)
    assert broken.read_text() == "[aws\n"
    assert not list(tmp_path.glob(".ftm-toml*"))


def test_project_file_broken_has_one_message(tmp_path: Path) -> None:
    """Class: one rule written twice. Settings, pin and prices name a broken file alike."""
    reported = set()
    for name in ("ftm.toml", "prices.toml"):
        (tmp_path / name).write_bytes(b"[llm]\ntimeout = \xff\n")
    for read in (
        lambda: resolve(project_file=tmp_path / "ftm.toml", environment={}),
        lambda: read_pin(tmp_path / "ftm.toml"),
        lambda: read_prices(tmp_path),
    ):
        with pytest.raises(InputError) as refused:
            read()
        reported.add(str(refused.value).replace("prices.toml", "ftm.toml"))
    assert len(reported) == 1


def documented() -> str:
    """The TOML block of docs/reference/prices.md."""
    text = (ROOT / "docs/reference/prices.md").read_text(encoding="utf-8")
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_prices_of_the_runbook_change_the_estimate(tmp_path: Path) -> None:
    """Class: configuration keys that are ignored. The documented file has the documented effect."""
    usual = read_prices(tmp_path)
    (tmp_path / "prices.toml").write_text(documented())
    own = read_prices(tmp_path)
    work = {"firms": 100, "batches": 1, "vllm_instances": 1}
    more = estimate_run(own, **work).model_seconds - estimate_run(usual, **work).model_seconds
    rate = own.rates["seconds_per_sentence"] - usual.rates["seconds_per_sentence"]
    sentences_per_vcpu = 100 * usual.rates["sentences_per_firm"] / usual.rates["map_vcpus"]
    assert rate != 0
    assert more == pytest.approx(rate * sentences_per_vcpu)
    assert own.vllm_hourly(1) < usual.vllm_hourly(1)
    assert "measured" in own.note
    assert own.date == "2026-03-01"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[rates]\nmap_seconds_per_firm = 6.5\n", "map_seconds_per_firm"),
        ("[hourly]\nload_balancers = 1\n", "load_balancers"),
        ("[prices]\nx = 1\n", "prices"),
        # Members of the class that no report names: values that have no effect, or a false one.
        ('[rates]\nmap_vcpus = "four"\n', "map_vcpus"),
        ("[rates]\ndecode_tokens_per_second = 0\n", "decode_tokens_per_second"),
        ('[instance_hourly]\n"g5.xlarge" = nan\n', "g5.xlarge"),
        ("[hourly]\nload_balancer = inf\n", "load_balancer"),
        ("hourly = 3\n", "hourly"),
    ],
)
def test_prices_without_effect_are_refused(tmp_path: Path, text: str, named: str) -> None:
    """Class: configuration keys that are ignored. A name or value without effect is refused."""
    (tmp_path / "prices.toml").write_text(text)
    with pytest.raises(InputError, match=re.escape(named)):
        read_prices(tmp_path)
