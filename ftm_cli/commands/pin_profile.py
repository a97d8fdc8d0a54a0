"""`ftm pin-profile`: which AWS identity this project belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftm_cli.options import JsonOption, YesOption

if TYPE_CHECKING:
    from ftm_cli.operations.aws.session import Identity


def pin_profile_command(
    name: Annotated[
        str | None, typer.Argument(help="Profile of your AWS configuration.", show_default=False)
    ] = None,
    account_id: Annotated[
        str | None,
        typer.Option("--account-id", help="Fail unless the profile belongs to this account ID."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", help="Region; the profile's, else us-west-2, when left out."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the pin, checked with STS.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take the pin away.")] = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
) -> None:
    """Pin profile, account and region in ftm.toml; STS must agree, before every AWS call.

    Without --account-id the account that STS names is pinned, after you have confirmed it.
    While nothing is pinned, commands work on this machine.

    JSON: `ftm schema pin-profile`.

    Examples:

        ftm pin-profile research --account-id 123456789012

        ftm pin-profile --show
    """
    from ftm_core.contracts.errors import InputError

    if sum((name is not None, show, clear)) != 1:
        raise InputError(
            "The command `ftm pin-profile`",
            "needs one of NAME, --show and --clear",
            "Give one of them; `ftm pin-profile -h` shows examples.",
        )
    if clear:
        _clear(as_json=json_output)
    elif name is None:
        _show(as_json=json_output)
    else:
        _pin(name, account_id, region, yes=yes, as_json=json_output)


def _pin(
    name: str, account_id: str | None, region: str | None, *, yes: bool, as_json: bool
) -> None:
    from ftm_cli.operations.aws.errors import AwsLoginError
    from ftm_cli.operations.aws.names import DEFAULT_REGION
    from ftm_cli.operations.aws.pin import checked, write_pin
    from ftm_cli.operations.aws.session import region_of, who_is
    from ftm_cli.results.setup import Pin

    region = region or region_of(name) or DEFAULT_REGION
    if account_id is not None:
        checked(Pin(name, account_id, region), "The pin")
    identity = who_is(name, region)
    if account_id is not None and identity.account_id != account_id:
        raise AwsLoginError(
            f"The profile {name}",
            f"belongs to the account {identity.account_id}, not {account_id}, so nothing was "
            "pinned",
            "Choose the profile of that account, or correct --account-id.",
        )
    if account_id is None and not yes:
        from ftm_cli.console import confirm_or_decline

        confirm_or_decline(
            f"Pin account {identity.account_id} ({identity.arn})?", what="ftm pin-profile"
        )
    pin = checked(Pin(name, identity.account_id, region), "The pin")
    write_pin(pin)
    _print(pin.profile, region, identity, as_json=as_json)


def _show(*, as_json: bool) -> None:
    from ftm_cli.operations.aws.session import pinned_session

    session = pinned_session()
    _print(session.pin.profile, session.pin.region, session.identity(), as_json=as_json)


def _clear(*, as_json: bool) -> None:
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.aws.pin import clear_pin
    from ftm_cli.results.setup import PinReport

    cleared = clear_pin()
    if as_json:
        print_json(PinReport(cleared=cleared).as_json())
    else:
        say("The pin is gone: commands work on this machine." if cleared else "Nothing was pinned.")


def _print(profile: str, region: str, identity: Identity, *, as_json: bool) -> None:
    from ftm_cli.console import print_json, print_table
    from ftm_cli.results.setup import PinReport

    facts: dict[str, Any] = {
        "profile": profile,
        "account_id": identity.account_id,
        "region": region,
        "arn": identity.arn,
    }
    if as_json:
        print_json(PinReport(**facts).as_json())
    else:
        print_table("Pinned in ftm.toml, and STS agrees", ("", ""), list(facts.items()))
