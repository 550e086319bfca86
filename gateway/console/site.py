"""The path of one request of the console: session, form, page, HTML."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from gateway.console import erasure, fields, letters, merges, people, playground, refused, setup, subscribers, traffic
from gateway.console.pages import (
    ConsoleContext,
    File,
    Form,
    HtmlPage,
    PageError,
    PageResult,
    Redirection,
    Visit,
    explain,
)
from gateway.console.rendering import HEADERS, STATIC_FILES, Templates, static_file
from gateway.console.sessions import LIFETIME, Session, Sessions, is_form_token
from gateway.core.faults import Refusal
from gateway.service.failures import OutageLog, log_unexpected
from gateway.service.http_messages import Message, Response
from gateway.service.rate_limits import RateLimitExceeded, RateLimits
from gateway.stores.errors import Unavailable

ROOT = "/console"
COOKIE = "console_session"
SIGN_IN, SIGN_OUT, HOME = "sign-in", "sign-out", "people"
SIGN_IN_RATE = ("10/minute",)
"""Attempts from one address."""

MAX_PARAMETERS = 100
FORM_TYPE = "application/x-www-form-urlencoded"

Run = Callable[[Visit], Awaitable[PageResult]]

PAGES: Mapping[tuple[str, str], Run] = {
    ("GET", "people"): people.list_people,
    ("POST", "people"): people.find_people,
    ("GET", "person"): people.show_person,
    ("GET", "erasure"): erasure.show_erasure,
    ("POST", "erasure"): erasure.erase,
    ("GET", "merge"): merges.show_merge,
    ("POST", "merge"): merges.merge,
    ("GET", "undo"): merges.show_undo,
    ("POST", "undo"): merges.undo,
    ("GET", "playground"): playground.show_playground,
    ("POST", "playground"): playground.run_playground,
    ("GET", "set-up"): setup.show_setup,
    ("POST", "token-creation"): setup.create_token,
    ("POST", "token-revocation"): setup.revoke_token,
    ("GET", "fields"): fields.show_fields,
    ("POST", "fields"): fields.change_fields,
    ("POST", "token-name"): setup.rename_token,
    ("GET", "subscriber"): subscribers.show_subscriber,
    ("POST", "subscriber"): subscribers.replay,
    ("GET", "letter"): letters.show_letter,
    ("POST", "letter"): letters.mend_letter,
    ("POST", "letter-removal"): letters.drop_letters,
    ("GET", "traffic"): traffic.show_traffic,
    ("GET", "refused"): refused.list_refused,
    ("POST", "refused"): refused.replay_refused,
    ("GET", "refused-request"): refused.show_refused,
    ("POST", "refused-request"): refused.mend_refused,
}
"""By method and name, the pages of a session."""


class Console:
    """Answers the requests below `/console`. Without a key nobody can sign in."""

    def __init__(self, context: ConsoleContext) -> None:
        self.context = context
        self._sessions = Sessions(context.key, context.store, context.catalog, context.now) if context.key else None
        self._rates = RateLimits(1.0)
        self._templates = Templates()
        self._outages = OutageLog()

    async def respond(self, name: str, message: Message, client: str) -> Response:
        """Return the response of a page to a client's address. Every failure is a page too."""
        session: Session | None = None
        try:
            await self.context.catalog.refresh()
            session = await self._sessions.find(_cookie_of(message)) if self._sessions else None
            return await self._respond(name, message, client, session)
        except Exception as error:
            return self._reject(message, session, error)

    async def _respond(self, name: str, message: Message, client: str, session: Session | None) -> Response:
        method = "GET" if message.method == "HEAD" else message.method
        if method == "POST":
            _reject_other_sites(message)
        if name == SIGN_IN:
            return self._sign_in(message, client) if method == "POST" else self._sign_in_page(message)
        run = PAGES.get((method, name))
        if run is None and (method, name) != ("POST", SIGN_OUT):
            raise PageError(404, "There is no such page.")
        if session is None:
            return _redirect(SIGN_IN)
        form = parse_form(message)
        if method == "POST" and not is_form_token(session, form.raw("form_token")):
            raise PageError(403, "The form is out of date. Go back, load its page again, and repeat your entry.")
        if run is None:
            return await self._sign_out(message, session)
        return self._encode(await run(Visit(self.context, message, session, form)), message, session)

    def _sign_in_page(self, message: Message, problem: str = "", status: int = 200) -> Response:
        if self._sessions is None:
            problem, status = "Nobody can sign in: GATEWAY_SECRET_FILE is not set.", 503
        return self._encode(HtmlPage("sign_in", {"problem": problem}, status), message, None)

    def _sign_in(self, message: Message, client: str) -> Response:
        if self._sessions is None:
            return self._sign_in_page(message)
        try:
            self._rates.spend(SIGN_IN_RATE, client)
            session = self._sessions.open(parse_form(message).text("token"))
        except RateLimitExceeded as refusal:
            return self._sign_in_page(message, f"Too many attempts. Try again in {refusal.pause} seconds.", 429)
        except Refusal:
            return self._sign_in_page(message, "The token is not known, or it has no right to the console.", 403)
        return _redirect(HOME, _set_cookie(message, session.cookie, LIFETIME // 1000))

    async def _sign_out(self, message: Message, session: Session) -> Response:
        if self._sessions:
            await self._sessions.end(session)
        return _redirect(SIGN_IN, _set_cookie(message, "", 0))

    def _encode(self, result: PageResult, message: Message, session: Session | None) -> Response:
        token, database = (session.token.id, session.token.database) if session else ("", None)
        match result:
            case Redirection():
                return _redirect(result.name)
            case File():
                disposition = f'attachment; filename="{result.name}"'
                headers = {**HEADERS, "content-type": result.media_type, "content-disposition": disposition}
                return Response(200, headers, result.body, token=token, database=database)
        values = {"session": session, "name": message.target.partition("?")[0].rpartition("/")[2], **result.values}
        body = self._templates.render(result.template, values)
        return Response(result.status, HEADERS, body, token=token, database=database)

    def _reject(self, message: Message, session: Session | None, error: Exception) -> Response:
        status, reason = 500, "The gateway failed."
        match error:
            case PageError():
                status, reason = error.status, error.reason
            case Refusal():
                status, reason = error.faults[0].status, explain(error)
            case Unavailable():
                self._outages.begin(error, message.id)
                status, reason = 503, "The store is not available. Try again later."
            case _:
                log_unexpected(error, message.id)
        page = HtmlPage("problem", {"status": status, "reason": reason, "request": message.id}, status)
        return self._encode(page, message, session)


def static_response(name: str) -> Response:
    """Return a file beside the pages."""
    body = static_file(name)
    if body is None:
        return Response(404, {**HEADERS, "content-type": "text/plain"}, b"there is no such file\n")
    return Response(200, {**HEADERS, "content-type": STATIC_FILES[name], "cache-control": "no-cache"}, body)


def parse_form(message: Message) -> Form:
    """Return the parameters of a form, or of the query of a GET. Raises `PageError`."""
    text = urlsplit(message.target).query
    if message.method == "POST":
        if message.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
            raise PageError(415, f"A form must be of the type {FORM_TYPE}.")
        text = message.body.decode("utf-8", "replace")
    try:
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise PageError(400, f"A form may have at most {MAX_PARAMETERS} parameters.") from None


def _reject_other_sites(message: Message) -> None:
    """Raise `PageError` for a form of another site. Browsers name the site of a form in one of two headers."""
    site = message.headers.get("sec-fetch-site")
    if site is None and (origin := message.headers.get("origin")):
        site = "same-origin" if urlsplit(origin).netloc in _hosts(message) else "cross-site"
    if site not in (None, "same-origin", "none"):
        raise PageError(403, "The form is on a page of another site.")


def _hosts(message: Message) -> Sequence[str]:
    return urlsplit(message.base).netloc, message.headers.get("host", "")


def _cookie_of(message: Message) -> str:
    for part in message.headers.get("cookie", "").replace(",", ";").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _set_cookie(message: Message, value: str, seconds: int) -> dict[str, str]:
    base = urlsplit(message.base)
    secure = "; Secure" if base.scheme == "https" else ""
    return {
        "set-cookie": f"{COOKIE}={value}; Path={base.path}{ROOT}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    }


def _redirect(name: str, headers: Mapping[str, str] | None = None) -> Response:
    """Redirect by a relative reference, so that a proxy may add a prefix to all paths."""
    return Response(303, {**HEADERS, "location": name, **(headers or {})}, b"")
