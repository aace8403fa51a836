"""Documents laid out as files."""

from typing import Any

from vivavoce.files.exporting import aimed, layout, titled

DESKS: dict[str, dict[str, Any]] = {"a-111111": {"name": "Desk"}, "a-222222": {"name": "Desk"}, "a-3": {"name": "?/"}}


def test_those_of_one_name_are_told_apart() -> None:
    assert [one["name"] for one in titled(DESKS).values()] == ["Desk (111111)", "Desk (222222)", "?/"]


def test_a_suite_names_the_files_of_whom_it_examines() -> None:
    suite = {
        "suite": "A b",
        "assistant": {"id": "a-111111"},
        "tests": [{"name": "x", "assistant": "?/"}, {"name": "y", "assistant": {"id": "gone"}}, {"name": "z"}],
    }
    found = layout([suite, {"suite": "a B", "destination": "x", "tests": []}], DESKS)
    assert list(found) == [
        "assistants/Desk-111111.yaml",
        "assistants/Desk-222222.yaml",
        "assistants/unnamed.yaml",
        "A-b.viva.yaml",
        "a-B-2.viva.yaml",
    ]
    assert found["A-b.viva.yaml"] == {
        "suite": "A b",
        "assistant": {"file": "assistants/Desk-111111.yaml"},
        "tests": [
            {"name": "x", "assistant": {"file": "assistants/unnamed.yaml"}},
            {"name": "y", "assistant": {"id": "gone"}},
            {"name": "z"},
        ],
    }


def test_a_suite_may_hold_whom_it_examines() -> None:
    suite = {"suite": "s", "assistant": "?/", "tests": [{"name": "x"}]}
    assert aimed(suite, DESKS, DESKS.__getitem__) == {**suite, "assistant": {"name": "?/"}}
