"""What Prometheus reads: it parses, says what happened, and its labels stay few."""

import pytest
from tests.telemetry.seen import read, samples

from vivavoce.core.run import Priority
from vivavoce.core.status import Status
from vivavoce.core.telemetry import DutyWork, ModelCall, RequestWork, RunWork, ToolUse
from vivavoce.models.limiter import Busy, Rates
from vivavoce.models.resolve import Standing
from vivavoce.storage.figures import Backlog, Figures
from vivavoce.telemetry.metrics import Metrics
from vivavoce.telemetry.names import MOST_MODELS, Models

FIGURES = Figures(
    {(Status.PENDING, Priority.BATCH): 7},
    {"working": 2, "stopping": 0, "silent": 1},
    512,
    {"delivery": Backlog(3, 1500)},
)


class Ticks:
    """Each look at the clock is a quarter of a second after the last."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def test_model_calls_are_counted_by_who_was_asked_and_how_they_ended() -> None:
    metrics = Metrics("1.0")
    metrics.model_called(ModelCall("openai", "m", "judge", 0.5, "ok", 100, 20, 2))
    metrics.model_called(ModelCall("openai", "m", "judge", 3.0, "unavailable", attempts=4))
    who = {"provider": "openai", "model": "m", "role": "judge"}
    assert read(metrics, "model_calls_total", **who, outcome="ok") == 1
    assert read(metrics, "model_calls_total", **who, outcome="unavailable") == 1
    assert read(metrics, "model_call_seconds_sum", **who) == 3.5
    assert read(metrics, "model_tokens_total", **who, direction="input") == 100
    assert read(metrics, "model_tokens_total", **who, direction="output") == 20
    assert read(metrics, "model_attempts_total", **who) == 6


def test_only_models_that_answered_have_a_label_and_only_so_many() -> None:
    names = Models(2)
    assert names.label("p", "made up", answered=False) == "other"
    assert names.label("p", "x" * 101, answered=True) == "other"
    assert [names.label("p", one, answered=True) for one in ("a", "b", "c")] == ["a", "b", "other"]
    assert names.label("p", "a", answered=False) == "a"
    metrics = Metrics("1.0")
    for number in range(MOST_MODELS * 3):
        metrics.model_called(ModelCall("p", f"m-{number}", "judge", 0.1, "ok"))
    found = samples(metrics.exposition(None, ()))
    models = {dict(labels)["model"] for name, labels in found if name == "viva_model_calls_total"}
    assert len(models) == MOST_MODELS + 1
    assert (
        read(metrics, "model_calls_total", provider="p", model="other", role="judge", outcome="ok") == 2 * MOST_MODELS
    )


def test_runs_duties_and_requests_are_measured() -> None:
    metrics = Metrics("1.0", Ticks())
    run = RunWork("r", "s", "c", None, "batch", 1, waited_s=2.0)
    with metrics.run(run):
        assert read(metrics, "runs_driving") == 1
        run.outcome, run.settled, run.fault, run.took_s = "failed", True, "assistant", 12.0
    with metrics.run(RunWork("r", "s", "c", None, "batch", 2)):
        pass
    assert read(metrics, "runs_driving") == 0
    assert read(metrics, "runs_total", status="failed", fault="assistant") == 1
    assert read(metrics, "run_seconds_sum", status="failed") == 12
    assert read(metrics, "run_wait_seconds_sum", priority="batch") == 2
    assert read(metrics, "run_wait_seconds_count", priority="batch") == 1
    assert read(metrics, "run_attempts_total", outcome="lost") == 1
    duty = DutyWork("delivery", 1)
    with metrics.duty(duty):
        duty.outcome = "NotTaken"
    assert read(metrics, "duties_total", kind="delivery", outcome="failed") == 1
    assert read(metrics, "duty_seconds_sum", kind="delivery") == 0.25
    request = RequestWork("BREW")
    with metrics.request(request):
        request.route, request.status = "/v2/ai/assistants/{id}", 404
    route = {"method": "_OTHER", "route": "/v2/ai/assistants/{id}"}
    assert read(metrics, "http_requests_total", **route, status="404") == 1
    assert read(metrics, "http_request_seconds_sum", **route) == 0.25


def test_what_breaks_off_is_counted_too() -> None:
    metrics = Metrics("1.0")
    with pytest.raises(KeyError), metrics.run(RunWork("r", "s", "c", None, "batch", 1)):
        raise KeyError
    with pytest.raises(KeyError), metrics.request(RequestWork("GET")):
        raise KeyError
    assert read(metrics, "runs_driving") == 0
    assert read(metrics, "http_requests_total", method="GET", route="", status="0") == 1


def test_tools_waits_and_commits_are_measured() -> None:
    metrics = Metrics("1.0")
    metrics.tool_called(ToolUse("a name that somebody chose", "webhook", 0.5, "failed"))
    metrics.waited("openai", 1.5)
    metrics.committed(0.01, 40)
    assert read(metrics, "tool_calls_total", kind="webhook", outcome="failed") == 1
    assert read(metrics, "tool_call_seconds_sum", kind="webhook") == 0.5
    assert read(metrics, "limit_wait_seconds_sum", provider="openai") == 1.5
    assert read(metrics, "journal_commit_seconds_count") == 1
    assert read(metrics, "journal_entries_total") == 40
    assert b"somebody chose" not in metrics.exposition(None, ())


def test_how_the_installation_stands_is_told_with_it() -> None:
    standing = Standing("openai", Rates(), Busy(3, 1, 2.5))
    found = samples(Metrics("1.2.3").exposition(FIGURES, [standing]))
    expected = {
        ("viva_build_info", (("version", "1.2.3"),)): 1,
        ("viva_database_up", ()): 1,
        ("viva_queue_runs", (("priority", "batch"), ("status", "pending"))): 7,
        ("viva_workers", (("state", "working"),)): 2,
        ("viva_workers", (("state", "silent"),)): 1,
        ("viva_worker_places", ()): 512,
        ("viva_duties_due", (("kind", "delivery"),)): 3,
        ("viva_duties_oldest_seconds", (("kind", "delivery"),)): 1.5,
        ("viva_provider_requests", (("provider", "openai"), ("state", "under_way"))): 3,
        ("viva_provider_requests", (("provider", "openai"), ("state", "waiting"))): 1,
        ("viva_provider_paused_seconds", (("provider", "openai"),)): 2.5,
    }
    assert found.items() >= expected.items()
    assert ("process_resident_memory_bytes", ()) in found
    assert not [name for name, _ in found if name.endswith("_created")]


def test_a_database_that_is_away_is_told_and_hides_nothing_else() -> None:
    found = samples(Metrics("1.0").exposition(None, ()))
    assert found["viva_database_up", ()] == 0
    assert "viva_queue_runs" not in {name for name, _ in found}
    assert ("viva_runs_driving", ()) in found


def test_two_of_a_process_share_nothing() -> None:
    one, other = Metrics("1.0"), Metrics("1.0")
    one.committed(1.0, 5)
    assert read(other, "journal_entries_total") == 0
