"""The command `profile-gateway`: the group of all commands.

An error that a person can correct is printed in one line on stderr. The exit status is 2 for an invalid argument or
setting, and 1 for an error of the store or the system.
"""

import click

from gateway.cli.changes import changes
from gateway.cli.check import check
from gateway.cli.contracts import contracts
from gateway.cli.databases import database
from gateway.cli.doctor import doctor
from gateway.cli.erasure import erase, erasure
from gateway.cli.file_export import export_file
from gateway.cli.file_import import import_file
from gateway.cli.record import record
from gateway.cli.refused import refused
from gateway.cli.relays import relay
from gateway.cli.resources import resource
from gateway.cli.segments import segment
from gateway.cli.serve import serve
from gateway.cli.shadow import shadow
from gateway.cli.tokens import tokens
from gateway.cli.transfer import dump, load
from gateway.cli.webhooks import webhook

COMMANDS = (
    serve,
    doctor,
    database,
    tokens,
    resource,
    segment,
    dump,
    load,
    import_file,
    export_file,
    changes,
    relay,
    webhook,
    refused,
    erase,
    erasure,
    contracts,
    check,
    record,
    shadow,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="profile-gateway")
def main() -> None:
    """A gateway for profile updates in the dialects of Altcraft, Courier and Klaviyo, in XML and in JSON.

    An option with an environment variable overrides that variable.
    """


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
