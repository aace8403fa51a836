"""Telemetry that keeps what it is told, and OpenTelemetry's own that keeps it in memory."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from vivavoce.core.telemetry import DutyWork, ModelCall, RequestWork, RunWork, ToolUse
from vivavoce.telemetry.metrics import Metrics
from vivavoce.telemetry.traces import Traces


@dataclass
class Notes:
    """Implements ``vivavoce.core.telemetry.Telemetry``."""

    runs: list[RunWork] = field(default_factory=list[RunWork])
    duties: list[DutyWork] = field(default_factory=list[DutyWork])
    requests: list[RequestWork] = field(default_factory=list[RequestWork])
    calls: list[ModelCall] = field(default_factory=list[ModelCall])
    tools: list[ToolUse] = field(default_factory=list[ToolUse])
    waits: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    commits: list[int] = field(default_factory=list[int])

    def run(self, work: RunWork) -> AbstractContextManager[object]:
        self.runs.append(work)
        return nullcontext()

    def duty(self, work: DutyWork) -> AbstractContextManager[object]:
        self.duties.append(work)
        return nullcontext()

    def request(self, work: RequestWork) -> AbstractContextManager[object]:
        self.requests.append(work)
        return nullcontext()

    def model_called(self, call: ModelCall) -> None:
        self.calls.append(call)

    def tool_called(self, use: ToolUse) -> None:
        self.tools.append(use)

    def waited(self, provider: str, seconds: float) -> None:
        self.waits.append((provider, seconds))

    def committed(self, seconds: float, entries: int) -> None:
        self.commits.append(entries)


class Memory:
    """Traces that stay in this process."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.traces = Traces(tracers, MeterProvider([self._reader], shutdown_on_exit=False), "1.0")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Those that ended, in that order."""
        return self._spans.get_finished_spans()

    def one(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        [found] = [span for span in self.spans if span.name == name]
        return found

    def points(self) -> Mapping[str, Sequence[tuple[Mapping[str, Any], int, float]]]:
        """By the name of a histogram: attributes, count and sum."""
        data = self._reader.get_metrics_data()
        found: dict[str, list[tuple[Mapping[str, Any], int, float]]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        assert isinstance(point, HistogramDataPoint)
                        told = dict(point.attributes or {})
                        found.setdefault(metric.name, []).append((told, point.count, point.sum))
        return found

    @property
    def everything(self) -> str:
        """All that would be sent."""
        spans = "".join(span.to_json() for span in self.spans)
        return spans + repr(self.points())


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(exposition: bytes) -> Samples:
    """Every sample by its name and its labels; the same one twice is an error."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(exposition.decode()):
        assert family.documentation
        for one in family.samples:
            key = (one.name, tuple(sorted(one.labels.items())))
            assert key not in found
            found[key] = one.value
    return found


def read(metrics: Metrics, name: str, **labels: str) -> float:
    """One sample of those that were counted in this process."""
    return samples(metrics.exposition(None, ()))[f"viva_{name}", tuple(sorted(labels.items()))]
