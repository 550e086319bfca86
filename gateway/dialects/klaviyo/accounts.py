"""The account of a key: the database of the token. The vendor's documentation names it as the test of a key."""

from typing import Any

from gateway.core.faults import refuse
from gateway.core.model import Database
from gateway.dialects.klaviyo.jsonapi.links import link_context, render_collection, render_resource
from gateway.dialects.klaviyo.requests import NO_MATCH
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

_ADDRESS = dict.fromkeys(("address1", "address2", "city", "region", "country", "zip"))


def parse_search(request: Request) -> ParsedRequest:
    """Parse GET of all accounts, or of one."""
    context = {**link_context(request), "id": request.path.get("id")}
    return ParsedRequest(None, [ParsedCommand({"match": NO_MATCH})], context)


def render_accounts(result: Result) -> Reply:
    """Render the only account."""
    return render_collection(result.context, [_resource(result.database, result.context["base"])])


def render_account(result: Result) -> Reply:
    """Render the account. Raises `Refusal` (unknown_database) if the id is that of another."""
    id = result.context["id"]
    if id != account_id(result.database):
        raise refuse("unknown_database", f"An account with id {id[:60]} does not exist.")
    return render_resource(_resource(result.database, result.context["base"]))


def account_id(database: Database) -> str:
    """Return the id of an account: the public id of the database, if it has one."""
    return database.company_id or str(database.id)


def _resource(database: Database, base: str) -> dict[str, Any]:
    id = account_id(database)
    contact = {
        "default_sender_name": database.name,
        "default_sender_email": "",
        "website_url": None,
        "organization_name": database.name,
        "street_address": _ADDRESS,
    }
    attributes = {
        "test_account": False,
        "contact_information": contact,
        "industry": None,
        "timezone": "UTC",
        "preferred_currency": "USD",
        "public_api_key": id,
        "locale": "en-US",
    }
    return {"type": "account", "id": id, "attributes": attributes, "links": {"self": f"{base}/api/accounts/{id}"}}
