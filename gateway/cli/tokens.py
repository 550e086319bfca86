"""The commands `token`: the secrets of clients."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import click

from gateway.cli.options import DATABASE, JSON, setting
from gateway.cli.output import Row, print_rows
from gateway.cli.store import load_settings, now, run_on_store, update_registry
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Token
from gateway.core.rights import OWN_RIGHTS, RIGHTS, TOKEN_RIGHTS
from gateway.service.bootstrap import new_secret, token


@click.group("token")
def tokens() -> None:
    """Create, list, rename and revoke the tokens of clients."""


@tokens.command("create")
@setting("store")
@DATABASE
@click.option(
    "--right", "rights", multiple=True, type=click.Choice(RIGHTS), help="may be repeated; all rights if omitted"
)
@click.option("--name", default="", help="name for people, such as the client's")
@click.option("--user", help="external id of the only user whose calls it opens; its rights are read and write at most")
def create_token(store: str | None, database: int, rights: Sequence[str], name: str, user: str | None) -> None:
    """Create a token. The last line printed is its secret, which cannot be printed again: the store keeps a hash.

    With --user, it is for a browser or an app of that user. Of the external id, the store keeps a hash too.
    """
    secret = new_secret()
    created = replace(token(secret, database, rights or RIGHTS, now()), name=name)
    if user is not None:
        created = replace(created, rights=_own_rights(rights), user_hash=_user_hash(user))
    update_registry(store, lambda store: store.add_token(created), missing=f"there is no database {database}")
    click.echo(f"token {created.id} may {', '.join(_sort(created.rights))} in database {database}:\n{secret}")


@tokens.command("list")
@setting("store")
@click.option("--user", help="only those of the user with this external id")
@JSON
def list_tokens(store: str | None, user: str | None, as_json: bool) -> None:
    """List the tokens, including revoked ones."""
    found = run_on_store(load_settings(store=store), lambda store: store.tokens())
    hash = None if user is None else _user_hash(user)
    print_rows([_row(token) for token in found if hash in (None, token.user_hash)], as_json)


@tokens.command("rename")
@setting("store")
@click.argument("id")
@click.argument("name")
def rename_token(store: str | None, id: str, name: str) -> None:
    """Give the token ID that `token list` prints another name for people."""
    update_registry(store, lambda store: store.rename_token(id, name), missing=f"there is no token {id}")
    click.echo(f"token {id} renamed")


@tokens.command("revoke")
@setting("store")
@click.argument("id")
def revoke_token(store: str | None, id: str) -> None:
    """Revoke the token ID that `token list` prints. Its record remains."""
    update_registry(store, lambda store: store.revoke_token(id), missing=f"there is no token {id}")
    click.echo(f"token {id} revoked")


def _own_rights(rights: Sequence[str]) -> frozenset[str]:
    """Return the rights of a token that is bound to a user."""
    if not OWN_RIGHTS.keys() >= {*rights}:
        raise click.BadParameter(f"a token of a user has the rights {', '.join(OWN_RIGHTS)} only", param_hint="--right")
    return frozenset(OWN_RIGHTS[right] for right in rights or OWN_RIGHTS)


def _user_hash(user: str) -> str:
    if not user:
        raise click.BadParameter("it is empty", param_hint="--user")
    return fingerprint(user)


def _row(token: Token) -> Row:
    return {
        "id": token.id,
        "name": token.name,
        "database": token.database,
        "rights": _sort(token.rights),
        "created": datetime.fromtimestamp(token.created / 1000, UTC).isoformat(" ", "seconds"),
        "revoked": token.revoked,
    }


def _sort(rights: Iterable[str]) -> list[str]:
    return sorted(rights, key=TOKEN_RIGHTS.index)
