"""Sending traces and metrics to a collector over OTLP/HTTP. The SDK is imported where this module is."""

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from vivavoce.telemetry.traces import Traces

FAREWELL_S = 5.0
"""How long what was not sent yet may take when the process stops."""


@contextmanager
def sending(endpoint: str, environment: Mapping[str, str], version: str, instance: str) -> Generator[Traces]:
    """Traces and metrics that go to this collector; where ``endpoint`` is empty, to that of the standard variables.

    Sampling, headers, time-outs and certificates are those of the standard variables too, and so is which of traces
    and metrics are sent at all (``OTEL_TRACES_EXPORTER=none``).
    """
    base = endpoint.rstrip("/")
    told = {"service.name": "vivavoce", "service.version": version, "service.instance.id": instance}
    # What the variables OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
    resource = Resource.create(told).merge(OTELResourceDetector().detect())
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if environment.get("OTEL_TRACES_EXPORTER") != "none":
        exporter = OTLPSpanExporter(f"{base}/v1/traces" if base else None)
        tracers.add_span_processor(BatchSpanProcessor(exporter))
    readers: list[PeriodicExportingMetricReader] = []
    if environment.get("OTEL_METRICS_EXPORTER") != "none":
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/v1/metrics" if base else None))]
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    try:
        yield Traces(tracers, meters, version)
    finally:
        # A collector that is away must not keep the process from stopping.
        ends = [threading.Thread(target=end, daemon=True) for end in (tracers.shutdown, meters.shutdown)]
        for end in ends:
            end.start()
        until = time.monotonic() + FAREWELL_S
        for end in ends:
            end.join(max(0.0, until - time.monotonic()))
