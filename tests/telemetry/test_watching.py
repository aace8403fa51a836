"""Who watches, as the settings say."""

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from vivavoce.core.telemetry import DutyWork, ModelCall, RequestWork, RunWork, ToolUse
from vivavoce.services.errors import Rejected
from vivavoce.telemetry.joined import Joined
from vivavoce.telemetry.logged import Logged
from vivavoce.telemetry.watching import watching

AWAY = "http://127.0.0.1:9"

PROGRAM = """
import json, sys
import vivavoce.app, vivavoce.cli.serve
from vivavoce.api.retell import application as _
from vivavoce.api.telnyx import application as _
from vivavoce.api.viva import application as _
from vivavoce.telemetry.watching import watching

def loaded():
    return [name for name in ("prometheus_client", "opentelemetry.sdk.trace") if name in sys.modules]

found = []
for metrics, endpoint in ((False, ""), (True, ""), (False, "http://127.0.0.1:9")):
    with watching("1", "i", metrics=metrics, endpoint=endpoint, environment={}):
        found.append(loaded())
print(json.dumps(found))
"""


def test_only_what_is_wanted_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    prometheus, opentelemetry = "prometheus_client", "opentelemetry.sdk.trace"
    assert json.loads(done.stdout) == [[], [prometheus], [prometheus, opentelemetry]]


def test_without_settings_there_is_only_the_log() -> None:
    with watching("1", "i", metrics=False, environment={}) as found:
        assert isinstance(found.telemetry, Logged)
        assert found.metrics is None


@pytest.mark.parametrize(
    ("endpoint", "environment", "sends"),
    [
        (AWAY, {}, True),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY}, True),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": AWAY}, True),
        (AWAY, {"OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_a_collector_is_sent_to_where_one_is_named(
    endpoint: str, environment: Mapping[str, str], sends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with watching("1", "i", metrics=False, endpoint=endpoint, environment={**environment, **quiet}) as found:
        assert isinstance(found.telemetry, Joined) is sends


def test_missing_packages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vivavoce.telemetry.sending", None)
    with (
        pytest.raises(Rejected, match=r"VIVA_OTLP_ENDPOINT is set.*vivavoce\[telemetry\]"),
        watching("1", "i", metrics=False, endpoint=AWAY, environment={}),
    ):
        raise AssertionError("it started")
    with (
        capture_logs() as logs,
        watching("1", "i", metrics=False, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY}) as found,
    ):
        assert isinstance(found.telemetry, Logged)
    assert "vivavoce[telemetry]" in logs[0]["event"]


def test_the_log_tells_of_calls_that_fail() -> None:
    logged = Logged(detailed=True)
    with capture_logs() as logs:
        logged.model_called(ModelCall("p", "m", "judge", 0.1234, "refused", attempts=3))
        logged.model_called(ModelCall("p", "m", "judge", 0.1))
        logged.tool_called(ToolUse("look up", "webhook", 0.5, "failed"))
        logged.waited("p", 1.0)
        logged.committed(1.0, 1)
        with logged.run(RunWork("r", "s", "c", None, "batch", 1)), logged.duty(DutyWork("k", 1)):
            pass
        with logged.request(RequestWork("GET")):
            pass
    with capture_logs() as quiet:
        brief = Logged(detailed=False)
        brief.model_called(ModelCall("p", "m", "judge", 0.1, "refused"))
        brief.model_called(ModelCall("p", "m", "judge", 0.1))
        brief.tool_called(ToolUse("look up", "webhook", 0.5))
        brief.waited("p", 1.0)
    assert [one["event"] for one in quiet] == ["a model call failed"]
    assert [(one["log_level"], one["event"]) for one in logs] == [
        ("warning", "a model call failed"),
        ("debug", "model called"),
        ("debug", "tool called"),
        ("debug", "waited for a provider's limits"),
    ]
    first = logs[0]
    assert (first["provider"], first["outcome"], first["ms"], first["attempts"]) == ("p", "refused", 123, 3)
