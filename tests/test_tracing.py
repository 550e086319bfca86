"""Traces: the spans of a request, and that they contain nothing that clients sent."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway.server.tracing import Tracing
from gateway.settings import Settings
from gateway.stores.errors import Unavailable
from tests.test_app import TOKEN, UPDATE, asked, failing, seeded_store

IMPORT = "/api/v1.1/profiles/import"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "the-id"}


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Return the exporter that the applications of a test have."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr("gateway.server.tracing.OTLPSpanExporter", lambda: exporter)
    return exporter


def spans_of(
    exporter: InMemorySpanExporter, converse: Callable[[httpx.AsyncClient], Awaitable[Any]], *failures: Exception
) -> Mapping[str, ReadableSpan]:
    """Return the spans of a conversation, by name."""
    store = failing(*failures, "change") if failures else asyncio.run(seeded_store())
    asked(converse, store, Settings(tracing=True))
    return {span.name: span for span in exporter.get_finished_spans()}


def nanoseconds(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time
    assert span.end_time
    return span.start_time, span.end_time


def test_a_request_is_a_span_within_the_trace_of_its_client(exporter: InMemorySpanExporter) -> None:
    async def converse(client: httpx.AsyncClient) -> None:
        await client.post(IMPORT, json=UPDATE, headers=HEADERS)

    spans = spans_of(exporter, converse)
    root = spans.pop(f"POST {IMPORT}")
    assert root.context
    assert root.parent
    assert (f"{root.context.trace_id:032x}", f"{root.parent.span_id:016x}") == (TRACE, PARENT)
    assert (root.kind, root.status.status_code) == (SpanKind.SERVER, StatusCode.UNSET)
    assert root.resource.attributes["service.name"] == "profile-gateway"
    assert dict(root.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": IMPORT,
        "http.response.status_code": 200,
        "gateway.dialect": "altcraft",
        "gateway.request_id": "the-id",
    }
    assert list(spans) == ["receive", "prepare", "store", "render"]
    assert {stage.parent and stage.parent.span_id for stage in spans.values()} == {root.context.span_id}
    times = [nanoseconds(stage) for stage in spans.values()]
    assert [end for _, end in times[:-1]] == [start for start, _ in times[1:]]
    assert (times[0][0], times[-1][1]) == nanoseconds(root)


@pytest.mark.parametrize(
    ("sent", "failures", "fault", "status", "stages"),
    [
        ({**UPDATE, "token": "another"}, (), "unknown_token", StatusCode.UNSET, ["receive", "prepare"]),
        (UPDATE, (Unavailable(),), "store_unavailable", StatusCode.ERROR, ["receive", "prepare", "store"]),
    ],
)
def test_a_refusal_has_its_fault_and_the_stages_that_it_reached(
    exporter: InMemorySpanExporter,
    sent: Any,
    failures: Sequence[Exception],
    fault: str,
    status: StatusCode,
    stages: list[str],
) -> None:
    async def converse(client: httpx.AsyncClient) -> None:
        await client.post(IMPORT, json=sent)

    spans = spans_of(exporter, converse, *failures)
    root = spans.pop(f"POST {IMPORT}")
    assert root.parent is None
    assert (root.attributes or {})["error.type"] == fault
    assert (root.status.status_code, list(spans)) == (status, stages)


def test_a_request_that_the_sampler_leaves_out_has_no_spans(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")

    async def converse(client: httpx.AsyncClient) -> None:
        await client.post(IMPORT, json=UPDATE, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})

    assert spans_of(exporter, converse) == {}


def test_spans_contain_nothing_of_the_requests(exporter: InMemorySpanExporter) -> None:
    async def converse(client: httpx.AsyncClient) -> None:
        for path in (IMPORT, "/profiles/canary", "/canary"):
            headers = {"traceparent": "canary", "tracestate": "vendor=canary", "baggage": "who=canary"}
            await client.post(f"{path}?token={TOKEN}&canary=canary", json={**UPDATE, "canary": 1}, headers=headers)

    spans_of(exporter, converse)
    exported = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert '"http.route": "/profiles/{recipient_id}"' in exported
    assert "canary" not in exported
    assert TOKEN not in exported


def test_what_waits_is_exported_at_the_end() -> None:
    exporter = InMemorySpanExporter()
    Tracing(exporter).close()
    assert exporter._stopped


def test_without_the_setting_nothing_of_it_is_imported() -> None:
    program = "import sys, gateway.server.app; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
