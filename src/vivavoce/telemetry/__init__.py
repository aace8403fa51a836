"""Those who watch the server work: its log, Prometheus, OpenTelemetry."""
