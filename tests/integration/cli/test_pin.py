"""The pin: what STS says decides, before anything else is called."""

from __future__ import annotations

from .conftest import Project

OTHER_ACCOUNT = "0" * 12


def test_a_profile_is_pinned_shown_and_cleared(unpinned: Project) -> None:
    pinned = unpinned.ftm("pin-profile", "research", "--account-id", "123456789012", "--json")
    assert pinned.code == 0
    assert pinned.json["account_id"] == "123456789012"
    assert pinned.json["region"] == "us-west-2"
    # What the file held before is kept.
    assert "s3_bucket_name" in (unpinned.folder / "ftm.toml").read_text()
    assert unpinned.ftm("pin-profile", "--show", "--json").json == pinned.json
    assert unpinned.ftm("config", "--json").json["target"] == "aws"
    assert unpinned.ftm("pin-profile", "--clear", "--json").json["cleared"] is True
    assert unpinned.ftm("config", "--json").json["target"] == "local"


def test_a_profile_of_another_account_is_not_pinned(unpinned: Project) -> None:
    unpinned.stage.set(account=OTHER_ACCOUNT)
    ended = unpinned.ftm("pin-profile", "research", "--account-id", "123456789012")
    assert ended.code == 2
    assert OTHER_ACCOUNT in ended.stderr
    assert "profile" not in (unpinned.folder / "ftm.toml").read_text()


def test_once_the_account_differs_nothing_is_called(project: Project) -> None:
    project.stage.deploy_vllm()
    project.stage.set(account=OTHER_ACCOUNT)
    ended = project.ftm("vllm", "scale", "1", "--yes")
    assert ended.code == 2
    assert "is pinned, so nothing was called" in " ".join(ended.stderr.split())
    assert project.stage.desired_counts() == (0, 0)


def test_an_expired_login_says_how_to_log_in_again(project: Project) -> None:
    project.stage.set(expired=["all"])
    ended = project.ftm("vllm", "status")
    assert ended.code == 2
    assert "aws sso login --profile research" in " ".join(ended.stderr.split())


def test_an_unknown_profile_names_those_there_are(unpinned: Project) -> None:
    ended = unpinned.ftm("pin-profile", "nobody", "--account-id", "123456789012")
    assert ended.code == 2
    assert "research" in ended.stderr


def test_without_a_pin_aws_commands_say_what_to_do(unpinned: Project) -> None:
    ended = unpinned.ftm("vllm", "status")
    assert ended.code == 2
    assert "ftm pin-profile NAME" in ended.stderr
