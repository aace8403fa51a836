"""Who watches this process, as the settings say. Libraries are imported for those only that are wanted."""

import os
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from vivavoce.core.telemetry import Telemetry
from vivavoce.services.errors import Rejected
from vivavoce.telemetry.joined import Joined
from vivavoce.telemetry.logged import Logged

if TYPE_CHECKING:
    from vivavoce.telemetry.metrics import Metrics

STANDARD = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""The variables by which others say where a collector is (OpenTelemetry's own)."""
_MISSING = "the packages that send to it are not installed: install vivavoce[telemetry]"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Watching:
    """Whom everything is told, and what Prometheus reads where it is wanted."""

    telemetry: Telemetry
    metrics: "Metrics | None"


@contextmanager
def watching(
    version: str,
    instance: str,
    *,
    metrics: bool,
    detailed: bool = False,
    endpoint: str = "",
    environment: Mapping[str, str] = os.environ,
) -> Generator[Watching]:
    """The log, ``detailed`` or not; Prometheus's figures if ``metrics``; and a collector, where ``endpoint`` or a
    standard variable names one.

    Raises ``Rejected`` where ``endpoint`` does and the packages are missing. A variable may be there for all programs
    of a machine, and is no reason not to start.
    """
    with ExitStack() as stack:
        each: list[Telemetry] = [Logged(detailed=detailed)]
        read = _metrics(version) if metrics else None
        if read is not None:
            each.append(read)
        named = any(environment.get(name) for name in STANDARD)
        if (endpoint or named) and environment.get("OTEL_SDK_DISABLED", "").strip().lower() != "true":
            try:
                from vivavoce.telemetry.sending import sending
            except ImportError as failure:
                if endpoint:
                    raise Rejected(f"VIVA_OTLP_ENDPOINT is set, and {_MISSING}.") from failure
                log.warning(f"a collector for telemetry is named, and {_MISSING}")
            else:
                each.append(stack.enter_context(sending(endpoint, environment, version, instance)))
        yield Watching(each[0] if len(each) == 1 else Joined(each), read)


def _metrics(version: str) -> "Metrics":
    from vivavoce.telemetry.metrics import Metrics

    return Metrics(version)
