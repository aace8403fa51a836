"""The vendors' words stay in the vendors' rooms: the rest of the house speaks its own language."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "vivavoce"

# Names of companies, and words of their wire formats that have a plain name in the core.
WORDS = (
    "telnyx",
    "retell",
    # the one vendor's
    "a2a_agents",
    "client_side_tool",
    "conversation_insights_id",
    "destination_version_id",
    "detail_status",
    "preset_body_fields",
    "preset_query_params",
    "promote_to_main",
    "store_fields_as_variables",
    "test_suite",
    "test_suite_run_id",
    "triggered_by",
    "version_name",
    # the other's
    "batch_job",
    "llm_id",
    "response_engine",
    "result_explanation",
    "test_case",
    "tool_mocks",
    "transcript_snapshot",
    "user_prompt",
)
PATTERN = re.compile("|".join(map(re.escape, WORDS)), re.IGNORECASE)
ROOMS = {"api/telnyx": "retell", "api/retell": "telnyx"}
"""The vendors' rooms, each with the name that even it must not know."""


def spoken(place: str, text: str) -> list[str]:
    """The vendors' words in this file's text and path that do not belong there."""
    if place in ("app.py", "house.py", "vendors.py") or place.startswith("importing/"):
        return []  # some put the rooms together, the others are there to know other vendors
    room = next((room for room in ROOMS if place.startswith(f"{room}/")), None)
    pattern = re.compile(ROOMS[room], re.IGNORECASE) if room else PATTERN
    lines = [(0, place)] if room is None else []
    return [
        f"{place}:{number} says {found[0]}"
        for number, line in [*lines, *enumerate(text.splitlines(), 1)]
        for found in pattern.finditer(line)
    ]


def test_the_vendors_words_stay_in_their_rooms() -> None:
    found = [
        word
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in {".py", ".html", ".js", ".css", ".sql", ".mako", ".yaml"}
        for word in spoken(path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [
        ("core/run.py", "a Telnyx run", ["core/run.py:1 says Telnyx"]),
        ("core/run.py", "x = 1\ny = detail_status", ["core/run.py:2 says detail_status"]),
        ("core/llm_id.py", "", ["core/llm_id.py:0 says llm_id"]),
        ("api/telnyx/wire.py", "detail_status", []),
        ("api/telnyx/wire.py", "as Retell does", ["api/telnyx/wire.py:1 says Retell"]),
        ("api/viva/routes.py", "telnyx", ["api/viva/routes.py:1 says telnyx"]),
        ("app.py", "telnyx and retell", []),
        ("importing/other.py", "what Retell calls llm_id", []),
    ],
)
def test_the_search_finds_what_it_is_for(place: str, text: str, expected: list[str]) -> None:
    assert spoken(place, text) == expected
