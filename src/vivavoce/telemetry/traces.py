"""Traces and metrics by OpenTelemetry's conventions for generative AI, HTTP and errors. No content is ever in them.

Names are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/ and …/http/; ``viva.`` marks our own.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from vivavoce.core.telemetry import OK, DutyWork, ModelCall, RequestWork, RunWork, ToolUse
from vivavoce.telemetry.names import Models, method

Attributes = Mapping[str, AttributeValue]

_PROVIDERS = {
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
}
"""What the conventions call a provider, where that is not what it is called here."""
_TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_HTTP = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
_RUNS = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0]
_NS = 1_000_000_000


class Traces:
    """Implements ``vivavoce.core.telemetry.Telemetry``. ``ticks`` are monotonic seconds, ``now_ns`` nanoseconds since
    the epoch."""

    def __init__(
        self,
        tracers: TracerProvider,
        meters: MeterProvider,
        version: str,
        *,
        ticks: Callable[[], float] = time.perf_counter,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ticks, self._now_ns = ticks, now_ns
        self._tracer = tracers.get_tracer("vivavoce", version)
        self._models = Models()
        self._propagator = TraceContextTextMapPropagator()
        meter = meters.get_meter("vivavoce", version)

        def histogram(name: str, unit: str, told: str, buckets: list[float]) -> Histogram:
            return meter.create_histogram(name, unit, told, explicit_bucket_boundaries_advisory=buckets)

        self._call_seconds = histogram("gen_ai.client.operation.duration", "s", "GenAI operation duration.", _SECONDS)
        self._tokens = histogram(
            "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", [*map(float, _TOKENS)]
        )
        self._request_seconds = histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests.", _HTTP
        )
        self._run_seconds = histogram(
            "viva.run.duration", "s", "How long runs took since they were first taken.", _RUNS
        )
        self._run_waits = histogram("viva.run.wait", "s", "How long runs waited until they were first taken.", _RUNS)
        self._duty_seconds = histogram("viva.duty.duration", "s", "How long duties took.", _SECONDS)
        self._limit_waits = histogram("viva.limit.wait", "s", "Waiting for the limits of a provider.", _SECONDS)
        self._commit_seconds = histogram("viva.journal.commit", "s", "How long the journal's commits took.", _HTTP)

    @contextmanager
    def run(self, work: RunWork) -> Generator[None]:
        """The block is an attempt at a run: the root of a trace, since who asked for it has long been answered."""
        told: dict[str, AttributeValue] = {
            "viva.run.id": work.run_id,
            "viva.scenario.id": work.scenario_id,
            "viva.run.attempt": work.attempt,
            "viva.run.priority": work.priority,
            "gen_ai.conversation.id": work.conversation_id,
        }
        if work.batch_id is not None:
            told["viva.batch.id"] = work.batch_id
        if work.waited_s is not None:
            told["viva.run.waited_seconds"] = work.waited_s
            self._run_waits.record(work.waited_s, {"viva.run.priority": work.priority})
        with self._block(f"examine {work.scenario_id}", SpanKind.INTERNAL, told, contexts.Context()) as span:
            try:
                yield
            finally:
                span.set_attribute("viva.run.status", work.outcome)
                if work.fault is not None:
                    span.set_attribute("viva.run.fault", work.fault)
                if work.outcome == "error":
                    _failed(span, work.fault or "error")
                if work.settled:
                    self._run_seconds.record(work.took_s, {"viva.run.status": work.outcome})

    @contextmanager
    def duty(self, work: DutyWork) -> Generator[None]:
        """The block does a duty."""
        began = self._ticks()
        told: Attributes = {"viva.duty.kind": work.kind, "viva.duty.attempt": work.attempt}
        with self._block(f"duty {work.kind}", SpanKind.INTERNAL, told, contexts.Context()) as span:
            try:
                yield
            finally:
                if work.outcome != OK:
                    _failed(span, work.outcome)
                self._duty_seconds.record(self._ticks() - began, {"viva.duty.kind": work.kind})

    @contextmanager
    def request(self, work: RequestWork) -> Generator[None]:
        """The block answers a request. It goes on with the trace that the request says it belongs to."""
        began, verb = self._ticks(), method(work.method)
        parent = self._propagator.extract(work.context, contexts.Context())
        told: dict[str, AttributeValue] = {"http.request.method": verb, "url.scheme": work.scheme}
        with self._block(verb, SpanKind.SERVER, told, parent) as span:
            try:
                yield
            finally:
                told["http.response.status_code"] = work.status
                if work.route:
                    told["http.route"] = work.route
                    span.update_name(f"{verb} {work.route}")
                if work.status == 0 or work.status >= 500:
                    told["error.type"] = str(work.status or OTHER_ERROR)
                    _failed(span, str(told["error.type"]))
                span.set_attributes(told)
                self._request_seconds.record(self._ticks() - began, told)

    def model_called(self, call: ModelCall) -> None:
        """A model call is over: a span of that length, which ends now."""
        told: dict[str, AttributeValue] = {
            "gen_ai.operation.name": call.operation,
            "gen_ai.provider.name": _PROVIDERS.get(call.provider, call.provider),
            "gen_ai.request.model": call.model,
        }
        if call.role:
            told["viva.role"] = call.role
        label = self._models.label(call.provider, call.model, answered=call.outcome == OK)
        counted = {**told, "gen_ai.request.model": label}
        if call.outcome == OK:
            if call.input_tokens:
                told["gen_ai.usage.input_tokens"] = call.input_tokens
                self._tokens.record(call.input_tokens, {**counted, "gen_ai.token.type": "input"})
            if call.output_tokens:
                told["gen_ai.usage.output_tokens"] = call.output_tokens
                self._tokens.record(call.output_tokens, {**counted, "gen_ai.token.type": "output"})
        else:
            counted["error.type"] = call.outcome
        told["viva.model.attempts"] = call.attempts
        failure = "" if call.outcome == OK else call.outcome
        self._past(f"{call.operation} {call.model}", SpanKind.CLIENT, told, call.seconds, failure)
        self._call_seconds.record(call.seconds, counted)

    def tool_called(self, use: ToolUse) -> None:
        """A tool call is over."""
        told: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": use.name,
            "viva.tool.kind": use.kind,
        }
        failure = "" if use.outcome == OK else use.outcome
        self._past(f"execute_tool {use.name}", SpanKind.INTERNAL, told, use.seconds, failure)

    def waited(self, provider: str, seconds: float) -> None:
        """Somebody waited for the limits of a provider."""
        self._limit_waits.record(seconds, {"gen_ai.provider.name": _PROVIDERS.get(provider, provider)})

    def committed(self, seconds: float, entries: int) -> None:
        """The journal made entries durable."""
        del entries
        self._commit_seconds.record(seconds)

    @contextmanager
    def _block(self, name: str, kind: SpanKind, told: Attributes, parent: contexts.Context) -> Generator[Span]:
        """A span in which others begin. What the block raises is nobody's here: its words may repeat anybody's."""
        span = self._tracer.start_span(name, parent, kind, told)
        token = contexts.attach(set_span_in_context(span, parent))
        try:
            yield span
        finally:
            contexts.detach(token)
            span.end()

    def _past(self, name: str, kind: SpanKind, told: Attributes, seconds: float, failure: str) -> None:
        end = self._now_ns()
        span = self._tracer.start_span(name, None, kind, told, start_time=end - round(seconds * _NS))
        if failure:
            _failed(span, failure)
        span.end(end)


OTHER_ERROR = "_OTHER"


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
