"""The path of one request: decode, authorize, parse, run, render."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from time import perf_counter
from typing import Any

from msgspec.structs import replace as replace_members

from gateway.core.consent import AS_OF
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import CommandType, Tree
from gateway.core.numbers import replace_unrepresentable
from gateway.core.rights import READ
from gateway.dialects.protocol import Call, Dialect, ParsedCommand, Request, Result
from gateway.media import Bounds
from gateway.schema.compiled import coerce_integer
from gateway.service.catalog import Catalog, Grant, missing_right, require_database, require_own_right
from gateway.service.command_validation import validate_commands
from gateway.service.dry_run_parameter import DRY_RUN, is_dry_run
from gateway.service.exchange import NO_HEADERS, Exchange, variant_of
from gateway.service.failures import OutageLog, log_unexpected
from gateway.service.fair_queue import FairQueue
from gateway.service.http_messages import Message, Response
from gateway.service.idempotency import KEY_LIFETIME, idempotency_key, key_of_body
from gateway.service.operations import Operations
from gateway.service.plans import Plan, Plans
from gateway.service.prepared_request import PreparedRequest
from gateway.service.rate_limits import RateLimitExceeded, RateLimits
from gateway.service.refused_recorder import RefusedRecorder
from gateway.service.resource_credentials import resource_of
from gateway.service.searches import SearchTimeExceeded
from gateway.stores.errors import RegistryChanged, Unavailable

RETRY_AFTER_SECONDS = "1"
"""For a request during an outage of the store, which has waited itself."""

LARGE_BODY_BYTES = 256 * 1024
"""Bodies of this size and more are prepared in a thread, so that they do not block the event loop."""

LARGE_BATCH = 100
"""Responses for this number of updates or profiles and more are rendered in a thread."""

RUNNING_REQUESTS = 32
"""Requests that run at once: enough to share a commit, and few that a new one waits for."""

RUNNING_REQUESTS_PER_TOKEN = 6
"""Of them, those of one token while other tokens have requests too."""


class Pipeline:
    """Carries out requests.

    `max_batch` is the maximum number of profiles in a request; `now` returns milliseconds since 1970. `refused` keeps
    refused requests; None: they leave no trace.
    """

    def __init__(
        self,
        catalog: Catalog,
        operations: Operations,
        rates: RateLimits,
        bounds: Bounds,
        max_batch: int,
        now: Callable[[], int],
        refused: RefusedRecorder | None = None,
    ) -> None:
        self._catalog = catalog
        self._operations = operations
        self._rates = rates
        self._plan = cache(Plans(bounds, max_batch).plan)
        self._max_batch = max_batch
        self._now = now
        self._refused = refused
        self._outages = OutageLog()
        self._queue = FairQueue(RUNNING_REQUESTS, RUNNING_REQUESTS_PER_TOKEN)
        self._large_bodies = asyncio.Semaphore(1)  # two at once would only share one processor

    async def respond(self, dialect: Dialect, call: Call, message: Message) -> Response:
        """Return the response to a request. Every failure is a response too."""
        if call.variant is not None:
            call = variant_of(dialect, call, message, self._plan(dialect, call).bounds, self._now())
        plan, exchange = self._plan(dialect, call), Exchange(dialect, message, call)
        is_checked = plan.is_single_update and self._catalog.is_checked and DRY_RUN not in message.query
        registry = self._catalog.version if is_checked else None
        try:
            exchange.stage_ends.append(perf_counter())
            if registry is None:
                await self._catalog.refresh()
            if len(message.body) < LARGE_BODY_BYTES:
                request = self._prepare(exchange, plan, registry)
            else:
                request = await self._prepare_in_thread(exchange, plan, registry)
            exchange.stage_ends.append(perf_counter())
            token = request.token.id
            if not self._queue.try_enter(token):
                await self._queue.enter(token)
            try:
                outcome = await self._operations.run(call.operation, request)
            finally:
                self._queue.leave(token)
            exchange.stage_ends.append(perf_counter())
            if max(len(request.commands), len(outcome)) < LARGE_BATCH:
                response = _render(exchange, call, request, outcome)
            else:
                response = await asyncio.to_thread(_render, exchange, call, request, outcome)
        except Exception as error:
            if registry is None:
                return self._reject(exchange, call, error)
            return await self._recover(exchange, call, error, registry)
        if self._outages.is_out:
            self._outages.end()
        return response

    def reject(self, dialect: Dialect, message: Message, fault: Fault, headers: Mapping[str, str]) -> Response:
        """Return the response to a request that the server rejects."""
        return Exchange(dialect, message).reject([fault], headers)

    def _reject(self, exchange: Exchange, call: Call, error: Exception) -> Response:
        """Return the response to a request that failed."""
        match error:
            case RateLimitExceeded() | SearchTimeExceeded():
                return exchange.reject(error.faults, {"retry-after": str(error.pause)})
            case Refusal():
                faults = [_with_vendor_pointer(fault, call.pointers) for fault in error.faults]
                if self._refused:
                    self._refused.add(exchange, call, self._plan(exchange.dialect, call).bounds, faults)
                return exchange.reject(faults)
            case Unavailable():
                self._outages.begin(error, exchange.message.id)
                return exchange.reject([Fault("store_unavailable")], {"retry-after": RETRY_AFTER_SECONDS})
        log_unexpected(error, exchange.message.id)
        return exchange.reject([Fault("internal_error")])

    async def _recover(self, exchange: Exchange, call: Call, error: Exception, registry: int) -> Response:
        """Run a request again that failed by an earlier registry. Reject it if the registry is still the same.

        The store has not seen a request that was refused before: so a refusal may come from an earlier registry too.
        While a thread prepared it, another request may have refreshed the catalog.
        """
        if not isinstance(error, Refusal | RegistryChanged):
            return self._reject(exchange, call, error)
        try:
            await self._catalog.refresh()
        except Unavailable as outage:
            return self._reject(exchange, call, outage)
        if self._catalog.version != registry or isinstance(error, RegistryChanged):
            return await self.respond(exchange.dialect, call, exchange.message)
        return self._reject(exchange, call, error)

    async def _prepare_in_thread(self, exchange: Exchange, plan: Plan, registry: int | None) -> PreparedRequest:
        async with self._large_bodies:
            return await asyncio.to_thread(self._prepare, exchange, plan, registry)

    def _prepare(self, exchange: Exchange, plan: Plan, registry: int | None) -> PreparedRequest:
        """Decode, authorize, parse and validate a request. Raises `Refusal`.

        `registry` is the version of the registry that the store shall compare, None: no version.
        """
        message, call, now = exchange.message, plan.call, self._now()
        request = exchange.decode(call, plan.bounds, now)
        grant, is_dry = self._authorize(exchange, plan, request)
        if call.resource is not None or call.credential is not None:
            request = _with_resource(request, call, grant)
        rate_headers = NO_HEADERS
        if call.rates:
            rate_headers = self._rates.spend(call.rates, call.method, call.path, grant.token.id)
        parsed = call.parse(request)
        if len(parsed.commands) > self._max_batch:
            raise refuse("too_many_profiles", f"at most {self._max_batch} profiles a request")
        if (id := parsed.database) is not None and (type(id) is not int or id != grant.database.id):
            require_database(grant, id if request.is_typed else coerce_integer(id))
        has_marks = bool(exchange.unrepresentable)
        commands = validate_commands(grant.schema, parsed.commands, plan.type, request.is_typed, has_marks)
        key = None
        if plan.is_write and call.key_header in message.headers:
            expires = message.replay_until or parsed.expires or now + KEY_LIFETIME
            key = idempotency_key(message, call, grant.token, expires, commands)
        elif parsed.repeat_key is not None:
            key = key_of_body(call, parsed.repeat_key, now + KEY_LIFETIME)
        if message.first_sent and plan.type is CommandType.UPDATE:
            commands = [each if isinstance(each, Refusal) else {**each, AS_OF: message.first_sent} for each in commands]
        return PreparedRequest(
            dialect=plan.dialect,
            token=grant.token,
            database=grant.database,
            schema=grant.schema,
            commands=commands,
            sources=_sources(parsed.commands, has_marks) if plan.keeps_sources else (),
            idempotency_key=key,
            job=parsed.job,
            is_dry_run=is_dry,
            is_public=call.is_public,
            context=parsed.context,
            rate_headers=rate_headers,
            request_id=message.id,
            registry=registry,
            received=now,
            needs_consent=parsed.needs_consent,
            shows_profile=call.shows_profile or parsed.needs_consent,
            is_bulk=message.replay_until > 0,
        )

    def _authorize(self, exchange: Exchange, plan: Plan, request: Request) -> tuple[Grant, bool]:
        """Return the grant, and whether the request is a dry run, which needs the right to read too."""
        session = exchange.message.token
        if session is None:
            grant = self._catalog.grant(plan.credential(request), plan.dialect)
        elif plan.call.credential is None:
            grant = self._catalog.grant_of_token(session, plan.dialect)
        else:
            raise refuse("unknown_token", "this call needs the credential of a resource")
        exchange.grant = grant
        token, is_dry = grant.token, False
        if plan.call.right not in token.rights:
            require_own_right(token, plan.call, request)
        for right in plan.call.further_rights:
            if right not in token.rights:
                raise missing_right(right)
        if plan.is_write and DRY_RUN in request.query and is_dry_run(exchange.message, plan.call):
            is_dry = True
            if READ not in token.rights:
                raise missing_right(READ)
        if self._rates.limits_tokens:
            self._rates.admit(token.id)
        return grant, is_dry


def _with_resource(request: Request, call: Call, grant: Grant) -> Request:
    """Return the request with the resource that it, or its credential, names. Raises `Refusal`: unknown_resource."""
    id = grant.resource if call.resource is None else resource_of(call.resource(request), grant.database)
    return replace_members(request, resource=id, database=grant.database.id, claims=grant.claims)


def _sources(commands: Sequence[ParsedCommand], has_marks: bool) -> list[Tree]:
    """Return what each command was parsed from, for the job that reports the rejected ones."""
    sources = [command.source for command in commands]
    return [replace_unrepresentable(source) for source in sources] if has_marks else sources


def _render(exchange: Exchange, call: Call, request: PreparedRequest, outcome: Any) -> Response:
    """Render the outcomes of an operation, or the tree of a dry run. A fault of a public call is logged instead."""
    if request.is_dry_run:
        return exchange.encode(exchange.plain_reply(outcome), request.rate_headers)
    fault = None
    if request.is_public:
        faults = [each[0] for each in outcome if isinstance(each, Sequence)]
        fault, outcome = (faults or [None])[0], [None if isinstance(each, Sequence) else each for each in outcome]
    reply = call.render(Result(request.database, outcome, request.commands, request.context))
    return exchange.encode(reply, request.rate_headers, fault)


def _with_vendor_pointer(fault: Fault, pointers: Mapping[str, str]) -> Fault:
    """Return a fault with the call's own pointer in place of the canonical one."""
    if not fault.pointer and fault.code in pointers:
        return replace(fault, pointer=pointers[fault.code])
    for canonical, pointer in pointers.items():
        if fault.pointer.startswith(canonical):
            return replace(fault, pointer=pointer + fault.pointer.removeprefix(canonical))
    return fault
