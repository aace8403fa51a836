"""What a collector is sent over OTLP/HTTP."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from vivavoce.core.telemetry import ModelCall
from vivavoce.telemetry.sending import sending


@dataclass
class Collector:
    url: str
    bodies: dict[str, bytes] = field(default_factory=dict[str, bytes])


@contextmanager
def collecting() -> Generator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.bodies[self.path] = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            del code, size

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def test_what_was_observed_arrives_before_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    with collecting() as collector:
        with sending(f"{collector.url}/", {}, "1.2", "worker-1") as traces:
            traces.model_called(ModelCall("openai", "m", "judge", 0.5))
        sent = ExportTraceServiceRequest.FromString(collector.bodies["/v1/traces"])
        resource = {one.key: one.value.string_value for one in sent.resource_spans[0].resource.attributes}
        expected = {
            "service.name": "vivavoce",
            "service.version": "1.2",
            "service.instance.id": "worker-1",
            "deployment.environment": "test",
        }
        assert resource.items() >= expected.items()
        assert [span.name for span in sent.resource_spans[0].scope_spans[0].spans] == ["chat m"]
        counted = ExportMetricsServiceRequest.FromString(collector.bodies["/v1/metrics"])
        names = [one.name for one in counted.resource_metrics[0].scope_metrics[0].metrics]
        assert names == ["gen_ai.client.operation.duration"]


@pytest.mark.parametrize(
    ("variable", "path"), [("OTEL_TRACES_EXPORTER", "/v1/metrics"), ("OTEL_METRICS_EXPORTER", "/v1/traces")]
)
def test_one_of_both_can_be_left_out(variable: str, path: str) -> None:
    with collecting() as collector:
        with sending(collector.url, {variable: "none"}, "1", "i") as traces:
            traces.model_called(ModelCall("openai", "m", "judge", 0.5))
        assert set(collector.bodies) == {path}


def test_sampling_is_what_the_standard_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with collecting() as collector:
        with sending(collector.url, {"OTEL_METRICS_EXPORTER": "none"}, "1", "i") as traces:
            traces.model_called(ModelCall("openai", "m", "judge", 0.5))
        assert collector.bodies == {}
