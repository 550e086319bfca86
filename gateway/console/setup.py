"""The page of the set-up: the session's database, its tokens, resources, segments, webhooks, relays and jobs."""

from dataclasses import replace

from gateway.console.pages import HtmlPage, PageError, PageResult, Redirection, Visit
from gateway.console.recorder import KEPT_RESPONSES
from gateway.console.subscribers import RIGHTS as SUBSCRIBER_RIGHTS
from gateway.console.subscribers import subscriber_rows
from gateway.core.model import Query, Token
from gateway.core.rights import RIGHTS
from gateway.service.bootstrap import new_secret, token
from gateway.service.jobs import IMPORT_KIND

MAX_JOBS = 20
MAX_NAME = 200


async def show_setup(visit: Visit) -> PageResult:
    """Return the set-up."""
    return await _setup_page(visit)


async def create_token(visit: Visit) -> PageResult:
    """Create a token with some of the session's own rights; its secret is on this one page alone."""
    name, rights = _name(visit), frozenset(visit.form.all("right"))
    if not rights:
        raise PageError(400, "A token needs at least one right.")
    if not rights <= visit.token.rights:
        raise PageError(403, "A session cannot give rights that its own token does not have.")
    secret = new_secret()
    created = replace(token(secret, visit.database.id, rights, visit.context.now()), name=name)
    await visit.context.store.add_token(created)
    return await _setup_page(visit, created=created, secret=secret)


async def rename_token(visit: Visit) -> PageResult:
    """Give a token of the session's database another name."""
    await visit.context.store.rename_token(await _token_id(visit), _name(visit))
    return Redirection("set-up")


async def revoke_token(visit: Visit) -> PageResult:
    """Revoke a token of the session's database. The session's own one ends the session."""
    await visit.context.store.revoke_token(await _token_id(visit))
    return Redirection("set-up")


async def _setup_page(visit: Visit, created: Token | None = None, secret: str = "") -> HtmlPage:
    store, database = visit.context.store, visit.database
    values = {
        "created": created,
        "secret": secret,
        "database": database,
        "fields": database.fields.get("properties", {}),
        "tokens": await _tokens(visit),
        "own": visit.token.id,
        "rights": [each for each in RIGHTS if each in visit.token.rights],
        "last_times": visit.context.recorder.last_times(database.id),
        "kept": KEPT_RESPONSES,
        "subscribers": await subscriber_rows(visit),
        "may_deliver": visit.token.rights >= SUBSCRIBER_RIGHTS,
        "jobs": await store.jobs(database.id, IMPORT_KIND, Query(MAX_JOBS, "created", True)),
    }
    return HtmlPage("set_up", values)


def _name(visit: Visit) -> str:
    name = visit.form.text("name")
    if len(name) > MAX_NAME:
        raise PageError(400, f"The name may have at most {MAX_NAME} characters.")
    return name


async def _token_id(visit: Visit) -> str:
    id = visit.form.text("id")
    if id not in [each.id for each in await _tokens(visit)]:
        raise PageError(404, "There is no such token.")
    return id


async def _tokens(visit: Visit) -> list[Token]:
    return [each for each in await visit.context.store.tokens() if each.database == visit.database.id]
