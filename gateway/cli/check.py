"""The command `check`. What it needs is imported when it runs, so that serving never loads it."""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.testkit.runner import CaseResult

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def url(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """A server's URL. Raises `BadParameter`."""
    if text is not None and not text.startswith(("http://", "https://")):
        raise click.BadParameter(f"{text!r} does not begin with http:// or https://")
    return text


def headers(_: click.Context, __: click.Parameter, lines: Sequence[str]) -> dict[str, str]:
    """Headers by name. Raises `BadParameter`."""
    from gateway.testkit.remote import parse_headers

    try:
        return parse_headers(lines)
    except ValueError as reason:
        raise click.BadParameter(str(reason)) from None


def token(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """A token, which must fit a header. Raises `BadParameter`."""
    from gateway.testkit.remote import parse_token

    try:
        return parse_token(text) if text else text
    except ValueError as reason:
        raise click.BadParameter(str(reason)) from None


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--url", callback=url, help="a server to ask; without it, a gateway of its own for each case")
@click.option(
    "--header", "headers", multiple=True, callback=headers, metavar="'Name: value'", help="sent with every request"
)
@click.option("--token", callback=token, help="sent where requests have the token of cases, abcdefghijklmnqrstuvwxyz")
@click.option("--media", type=click.Choice(["json", "xml", "both"]), default="both", show_default=True)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="write JUnit XML too")
def check(
    folder: Path, url: str | None, headers: Mapping[str, str], token: str | None, media: str, junit: Path | None
) -> None:
    """Run the cases in DIR: each is one conversation, told once and held in XML and in JSON.

    With --url, cases that begin with profiles or settings of their own are skipped, and only answers are judged. The
    exit status is 0 where all is as expected, 1 where something differs, 2 where something could not be run.
    """
    if (headers or token) and not url:
        raise click.UsageError("--header and --token are for a server at --url")
    wanted = ["json", "xml"] if media == "both" else [media]
    logging.getLogger("gateway").addHandler(logging.NullHandler())  # what the cases' own gateways log is no result
    found = asyncio.run(_checked(folder, wanted, url, headers, token))
    if junit:
        _write(junit, found)
    click.echo(_report(found))
    raise SystemExit(_status(found))


async def _checked(
    folder: Path, media: Sequence[str], url: str | None, headers: Mapping[str, str], token: str | None
) -> "list[CaseResult]":
    from gateway.testkit.case import find_case_folders
    from gateway.testkit.remote import RemoteServer
    from gateway.testkit.runner import run_cases

    if not (folders := find_case_folders(folder)):
        raise click.BadParameter(f"there is no case.json in {folder} or below", param_hint="DIR")
    remote = RemoteServer(url, headers, token) if url else None
    found: list[CaseResult] = []
    with _progress(len(folders)) as bar:
        async for each in run_cases(folder, media, remote):
            bar.update(0 if found and found[-1].folder == each.folder else 1)
            found.append(each)
    if remote:
        await remote.close()
    return found


def _progress(length: int) -> Any:
    """A bar on a terminal's stderr; nothing where nobody looks."""
    return click.progressbar(length=length, label="checking", file=sys.stderr, hidden=not sys.stderr.isatty())


def _report(found: "Sequence[CaseResult]") -> str:
    """What did not pass, with every difference, and the sum."""
    told = [_told(each) for each in found if each.outcome != "passed"]
    kinds = ("passed", "failed", "broken", "skipped")
    counts = {kind: sum(each.outcome == kind for each in found) for kind in kinds}
    total = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count or kind == "passed")
    return "\n".join([*told, f"{total} in {sum(each.seconds for each in found):.1f} s"])


def _told(outcome: "CaseResult") -> str:
    return "\n    ".join([f"{outcome.outcome}  {outcome.folder.parent / outcome.name}", *outcome.messages])


def _status(found: "Sequence[CaseResult]") -> int:
    kinds = {each.outcome for each in found}
    if "broken" in kinds or not kinds & {"passed", "failed"}:
        return 2
    return 1 if "failed" in kinds else 0


def _write(file: Path, found: "Sequence[CaseResult]") -> None:
    from gateway.testkit.junit import junit

    try:
        file.write_bytes(junit(found))
    except OSError as reason:
        raise click.BadParameter(f"{file}: {reason.strerror}", param_hint="--junit") from None
