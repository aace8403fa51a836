"""What Prometheus reads. Labels have few values each, and none names an organisation or anything that was said."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from vivavoce.core.telemetry import OK, DutyWork, ModelCall, RequestWork, RunWork, ToolUse
from vivavoce.models.resolve import Standing
from vivavoce.storage.figures import Figures
from vivavoce.telemetry.names import Models, method

_CALLS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
_WAITS = (0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800)
_RUNS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_COMMITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


@dataclass(frozen=True, slots=True)
class _OfModel:
    """The series of one model in one role: looking them up takes longer than counting."""

    answered: Counter
    seconds: Histogram
    input_tokens: Counter
    output_tokens: Counter
    attempts: Counter


class Metrics:
    """Implements ``vivavoce.core.telemetry.Telemetry``. One for each process; ``ticks`` are monotonic seconds."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4
    """Of the exposition."""

    def __init__(self, version: str, ticks: Callable[[], float] = time.perf_counter) -> None:
        self._version, self._ticks = version, ticks
        self._models = Models()
        self._of_model: dict[tuple[str, str, str], _OfModel] = {}
        self._registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"viva_{name}", told, labels, registry=registry)

        def histogram(name: str, told: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"viva_{name}", told, labels, buckets=buckets, registry=registry)

        model = ("provider", "model", "role")
        self._calls = counter("model_calls", "Model calls by how they ended.", *model, "outcome")
        self._call_seconds = histogram(
            "model_call_seconds", "How long model calls took, with every attempt and wait.", _CALLS, *model
        )
        self._tokens = counter("model_tokens", "Tokens as providers count them.", *model, "direction")
        self._attempts = counter("model_attempts", "Requests that model calls took.", *model)
        self._limit_waits = histogram(
            "limit_wait_seconds", "How long requests waited for the limits set for a provider.", _WAITS, "provider"
        )
        self._driving = Gauge("viva_runs_driving", "Runs that this process drives now.", registry=registry)
        self._run_waits = histogram(
            "run_wait_seconds", "How long runs waited until they were first taken.", _WAITS, "priority"
        )
        self._run_seconds = histogram(
            "run_seconds", "How long runs took, from when they were first taken to the verdict.", _RUNS, "status"
        )
        self._runs = counter("runs", "Runs that were settled here.", "status", "fault")
        self._run_attempts = counter("run_attempts", "Attempts at runs by how they ended.", "outcome")
        self._commit_seconds = histogram("journal_commit_seconds", "How long the journal's commits took.", _COMMITS)
        self._entries = counter("journal_entries", "What the journal made durable.")
        self._duties = counter("duties", "Attempts at duties.", "kind", "outcome")
        self._duty_seconds = histogram("duty_seconds", "How long duties took.", _CALLS, "kind")
        self._tools = counter("tool_calls", "Tool calls by how they ended.", "kind", "outcome")
        self._tool_seconds = histogram("tool_call_seconds", "How long tool calls took.", _CALLS, "kind")
        self._requests = counter("http_requests", "Answered requests.", "method", "route", "status")
        self._request_seconds = histogram(
            "http_request_seconds", "How long answering took, to the last byte.", _REQUESTS, "method", "route"
        )

    @contextmanager
    def run(self, work: RunWork) -> Generator[None]:
        """The block is an attempt at a run."""
        if work.waited_s is not None:
            self._run_waits.labels(work.priority).observe(work.waited_s)
        self._driving.inc()
        try:
            yield
        finally:
            self._driving.dec()
            self._run_attempts.labels(work.outcome).inc()
            if work.settled:
                self._runs.labels(work.outcome, work.fault or "").inc()
                self._run_seconds.labels(work.outcome).observe(work.took_s)

    @contextmanager
    def duty(self, work: DutyWork) -> Generator[None]:
        """The block does a duty."""
        began = self._ticks()
        try:
            yield
        finally:
            self._duty_seconds.labels(work.kind).observe(self._ticks() - began)
            self._duties.labels(work.kind, work.outcome if work.outcome == OK else "failed").inc()

    @contextmanager
    def request(self, work: RequestWork) -> Generator[None]:
        """The block answers a request."""
        began = self._ticks()
        try:
            yield
        finally:
            verb = method(work.method)
            self._request_seconds.labels(verb, work.route).observe(self._ticks() - began)
            self._requests.labels(verb, work.route, work.status).inc()

    def model_called(self, call: ModelCall) -> None:
        """A model call is over."""
        model = self._models.label(call.provider, call.model, answered=call.outcome == OK)
        key = (call.provider, model, call.role)
        series = self._of_model.get(key)
        if series is None:
            series = self._of_model[key] = _OfModel(
                self._calls.labels(*key, OK),
                self._call_seconds.labels(*key),
                self._tokens.labels(*key, "input"),
                self._tokens.labels(*key, "output"),
                self._attempts.labels(*key),
            )
        (series.answered if call.outcome == OK else self._calls.labels(*key, call.outcome)).inc()
        series.seconds.observe(call.seconds)
        series.input_tokens.inc(call.input_tokens)
        series.output_tokens.inc(call.output_tokens)
        series.attempts.inc(call.attempts)

    def tool_called(self, use: ToolUse) -> None:
        """A tool call is over."""
        self._tools.labels(use.kind, use.outcome).inc()
        self._tool_seconds.labels(use.kind).observe(use.seconds)

    def waited(self, provider: str, seconds: float) -> None:
        """Somebody waited for the limits of a provider."""
        self._limit_waits.labels(provider).observe(seconds)

    def committed(self, seconds: float, entries: int) -> None:
        """The journal made entries durable."""
        self._commit_seconds.observe(seconds)
        self._entries.inc(entries)

    def exposition(self, figures: Figures | None, providers: Sequence[Standing]) -> bytes:
        """Everything in Prometheus's text format. ``figures`` None says that the database does not answer."""
        families = [*_of_process(self._version, providers), *_of_database(figures)]
        return generate_latest(_Both(self._registry, families))


@dataclass(frozen=True, slots=True)
class _Both:
    """What was counted here and what was read just now, as a collector."""

    registry: CollectorRegistry
    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        """Every family, without the times at which each series began: they double what is sent."""
        for family in (*self.registry.collect(), *self.families):
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family


def _of_process(version: str, providers: Sequence[Standing]) -> Iterable[Metric]:
    build = InfoMetricFamily("viva_build", "What runs here.")
    build.add_metric((), {"version": version})
    yield build
    busy = GaugeMetricFamily(
        "viva_provider_requests", "Requests to a provider from here.", labels=("provider", "state")
    )
    paused = GaugeMetricFamily(
        "viva_provider_paused_seconds", "For how long a provider wants to be left alone.", labels=("provider",)
    )
    for one in providers:
        busy.add_metric((one.name, "under_way"), one.busy.under_way)
        busy.add_metric((one.name, "waiting"), one.busy.waiting)
        paused.add_metric((one.name,), one.busy.paused_s)
    yield from (busy, paused)


def _of_database(figures: Figures | None) -> Iterable[Metric]:
    yield GaugeMetricFamily("viva_database_up", "Whether the database answers.", value=float(figures is not None))
    if figures is None:
        return
    queue = GaugeMetricFamily(
        "viva_queue_runs", "Runs that are not over, of all processes.", labels=("status", "priority")
    )
    for (status, priority), many in figures.runs.items():
        queue.add_metric((status.value, priority.name.lower()), many)
    working = GaugeMetricFamily("viva_workers", "Workers, and how they are.", labels=("state",))
    for state, many in figures.workers.items():
        working.add_metric((state,), many)
    due = GaugeMetricFamily("viva_duties_due", "Duties that are due and not done.", labels=("kind",))
    oldest = GaugeMetricFamily(
        "viva_duties_oldest_seconds", "For how long the oldest of them has been due.", labels=("kind",)
    )
    for kind, backlog in figures.duties.items():
        due.add_metric((kind,), backlog.many)
        oldest.add_metric((kind,), backlog.oldest_ms / 1000)
    places = GaugeMetricFamily("viva_worker_places", "Runs that all working workers can drive.", value=figures.places)
    yield from (queue, working, places, due, oldest)
