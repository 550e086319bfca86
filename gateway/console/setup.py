"""The page of the set-up: the session's database, its tokens, resources, segments, webhooks and jobs."""

from dataclasses import replace
from typing import Any

from gateway.console.pages import HtmlPage, PageError, PageResult, Redirection, Visit
from gateway.core.model import DELIVER, READ, RIGHTS, Query, Token
from gateway.feed.webhooks import endpoints
from gateway.service.bootstrap import new_secret, token
from gateway.service.jobs import IMPORT_KIND
from gateway.stores.errors import Missing

MAX_JOBS = 20
MAX_NAME = 200


async def show_setup(visit: Visit) -> PageResult:
    """Return the set-up."""
    return await _setup_page(visit)


async def create_token(visit: Visit) -> PageResult:
    """Create a token with some of the session's own rights; its secret is on this one page alone."""
    name, rights = visit.form.text("name"), frozenset(visit.form.all("right"))
    if len(name) > MAX_NAME:
        raise PageError(400, f"The name may have at most {MAX_NAME} characters.")
    if not rights:
        raise PageError(400, "A token needs at least one right.")
    if not rights <= visit.token.rights:
        raise PageError(403, "A session cannot give rights that its own token does not have.")
    secret = new_secret()
    created = replace(token(secret, visit.database.id, rights, visit.context.now()), name=name)
    await visit.context.store.add_token(created)
    return await _setup_page(visit, created=created, secret=secret)


async def revoke_token(visit: Visit) -> PageResult:
    """Revoke a token of the session's database. The session's own one ends the session."""
    id = visit.form.text("id")
    if id not in [each.id for each in await _tokens(visit)]:
        raise PageError(404, "There is no such token.")
    await visit.context.store.revoke_token(id)
    return Redirection("set-up")


async def replay_webhook(visit: Visit) -> PageResult:
    """Send the dead letters of a webhook again, and resume it if it is disabled."""
    visit.require(DELIVER)
    store, database, id = visit.context.store, visit.database.id, visit.form.text("id")
    await endpoints.find_webhook(store, database, id)
    try:
        await store.resume_subscriber(database, id, None)
    except Missing:
        raise PageError(404, "There is no such webhook.") from None
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
        "webhooks": await _webhooks(visit) if {READ, DELIVER} <= visit.token.rights else [],
        "jobs": await store.jobs(database.id, IMPORT_KIND, Query(MAX_JOBS, "created", True)),
        "may_deliver": DELIVER in visit.token.rights,
    }
    return HtmlPage("set_up", values)


async def _tokens(visit: Visit) -> list[Token]:
    return [each for each in await visit.context.store.tokens() if each.database == visit.database.id]


async def _webhooks(visit: Visit) -> list[dict[str, Any]]:
    """Return the webhooks with the number of entries that each has not read yet, as far as they are counted."""
    store, database = visit.context.store, visit.database.id
    rows = []
    for each in await endpoints.webhooks(store, database):
        behind = await store.journal(database, each.position, MAX_LAG + 1)
        lag = f"more than {MAX_LAG}" if len(behind) > MAX_LAG else str(len(behind))
        dead = await store.deliveries(database, each.id, True, 0, MAX_LAG)
        rows.append({**endpoints.render_webhook(each, store.id), "lag": lag, "dead": len(dead)})
    return rows


MAX_LAG = 100
"""Entries that are counted of what a webhook has not read."""
