"""The command `check`. It imports the testkit when it runs, so that serving does not load it."""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import server_url

if TYPE_CHECKING:
    from gateway.testkit.runner import CaseResult

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _parse_headers(_context: click.Context, _option: click.Parameter, lines: Sequence[str]) -> dict[str, str]:
    """Return headers by name. Raises `BadParameter`."""
    from gateway.testkit.remote import parse_headers

    try:
        return parse_headers(lines)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _parse_token(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """Return a token that a header can carry. Raises `BadParameter`."""
    from gateway.testkit.remote import parse_token

    try:
        return parse_token(text) if text else text
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--url", callback=server_url, help="server to check; without it, each case has a gateway of its own")
@click.option(
    "--header",
    "headers",
    multiple=True,
    callback=_parse_headers,
    metavar="'Name: value'",
    help="sent with every request",
)
@click.option("--token", callback=_parse_token, help="sent in place of the token of cases, abcdefghijklmnqrstuvwxyz")
@click.option("--media", type=click.Choice(["json", "xml", "both"]), default="both", show_default=True)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="write JUnit XML too")
def check(
    folder: Path, url: str | None, headers: Mapping[str, str], token: str | None, media: str, junit: Path | None
) -> None:
    """Run the cases in DIR. Each is one conversation, written once and run in XML and in JSON.

    With --url, cases that begin with their own profiles or settings are skipped, and only responses are compared. The
    exit status is 0 if everything is as expected, 1 if something differs, 2 if something could not run.
    """
    if (headers or token) and not url:
        raise click.UsageError("--header and --token are for a server at --url")
    media_types = ["json", "xml"] if media == "both" else [media]
    logging.getLogger("gateway").addHandler(logging.NullHandler())  # the logs of embedded gateways are not results
    results = asyncio.run(_run(folder, media_types, url, headers, token))
    if junit:
        _write_junit(junit, results)
    click.echo(_report(results))
    raise SystemExit(_exit_status(results))


async def _run(
    folder: Path, media_types: Sequence[str], url: str | None, headers: Mapping[str, str], token: str | None
) -> "list[CaseResult]":
    from gateway.testkit.case import find_case_folders
    from gateway.testkit.remote import RemoteServer
    from gateway.testkit.runner import run_cases

    if not (folders := find_case_folders(folder)):
        raise click.BadParameter(f"there is no case.json in {folder} or below", param_hint="DIR")
    remote = RemoteServer(url, headers, token) if url else None
    results: list[CaseResult] = []
    with _progress(len(folders)) as bar:
        async for result in run_cases(folder, media_types, remote):
            bar.update(0 if results and results[-1].folder == result.folder else 1)
            results.append(result)
    if remote:
        await remote.close()
    return results


def _progress(length: int) -> Any:
    """Return a progress bar on stderr, hidden unless that is a terminal."""
    return click.progressbar(length=length, label="checking", file=sys.stderr, hidden=not sys.stderr.isatty())


def _report(results: "Sequence[CaseResult]") -> str:
    """Return the cases that did not pass, with every difference, and the totals."""
    details = [_describe(result) for result in results if result.outcome != "passed"]
    outcomes = ("passed", "failed", "broken", "skipped")
    counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in outcomes}
    total = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count or outcome == "passed")
    return "\n".join([*details, f"{total} in {sum(result.seconds for result in results):.1f} s"])


def _describe(result: "CaseResult") -> str:
    return "\n    ".join([f"{result.outcome}  {result.folder.parent / result.name}", *result.messages])


def _exit_status(results: "Sequence[CaseResult]") -> int:
    outcomes = {result.outcome for result in results}
    if "broken" in outcomes or not outcomes & {"passed", "failed"}:
        return 2
    return 1 if "failed" in outcomes else 0


def _write_junit(file: Path, results: "Sequence[CaseResult]") -> None:
    from gateway.testkit.junit import junit

    try:
        file.write_bytes(junit(results))
    except OSError as error:
        raise click.BadParameter(f"{file}: {error.strerror}", param_hint="--junit") from None
