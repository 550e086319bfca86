"""Traces by OpenTelemetry: a span for each request, and one for each of its stages.

The spans are made when the response is sent, from the times of the stages. Their attributes are what the access log
contains: values that the gateway defines, never a body, a token or an address. The names are those of OpenTelemetry's
semantic conventions for HTTP servers. The exporter has the standard variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`.
"""

import os
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.server.stages import intervals
from gateway.service.http_messages import Message, Response

SERVICE = "profile-gateway"
"""The name of the service, unless `OTEL_SERVICE_NAME` has another."""

FIRST_SERVER_ERROR = 500


class Tracing:
    """Makes the spans of requests, and exports them in the background."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        name = os.environ.get(OTEL_SERVICE_NAME, SERVICE)
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("gateway")
        self._propagator = TraceContextTextMapPropagator()

    def responded(
        self, dialect: str, route: str, message: Message, response: Response, started: float, ended: float
    ) -> None:
        """Make the spans of a request. The times are of `perf_counter`.

        Its span continues the trace of the request's `traceparent` (W3C Trace Context), else it begins one.
        """
        epoch = time.time_ns() - int(time.perf_counter() * 1e9)  # what a time of `perf_counter` lacks

        def at(seconds: float) -> int:
            return epoch + int(seconds * 1e9)

        attributes: dict[str, str | int] = {
            "http.request.method": message.method,
            "http.route": route,
            "http.response.status_code": response.status,
            "gateway.dialect": dialect,
            "gateway.request_id": message.id,
        }
        if response.fault:
            attributes["error.type"] = response.fault
        parent = self._propagator.extract(message.headers)
        name = f"{message.method} {route}".rstrip()
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes, start_time=at(started))
        if not span.is_recording():  # the sampler left it out
            return
        within = set_span_in_context(span)
        for stage, start, end in intervals(started, response.stage_ends, ended):
            self._tracer.start_span(stage, within, start_time=at(start)).end(at(end))
        if response.status >= FIRST_SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        span.end(at(ended))

    def close(self) -> None:
        """Export what is left."""
        self._provider.shutdown()
