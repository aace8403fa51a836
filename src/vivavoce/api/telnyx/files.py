"""Files that hold what this API answers: assistants and tests, one by one or in lists (contract, sections 5.1, 5.9)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from vivavoce.api.telnyx.wire.assistant import AssistantCreate, dump_assistant, to_version
from vivavoce.api.telnyx.wire.rules import semantic_problem
from vivavoce.api.telnyx.wire.scenarios import TestCreate, change_scenario, dump_scenario, to_scenario
from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.core.scenario import Scenario
from vivavoce.services.errors import Rejected
from vivavoce.services.transfer import Bundle, Flaw, Format, Held, Piece, Told, Written

Loc = tuple[str | int, ...]


def read(value: object) -> Iterator[Piece]:
    """The assistants and tests of one file."""
    for loc, body in _bodies(value):
        # What a response says is unset, a request leaves out.
        said = {key: inner for key, inner in body.items() if inner is not None}
        try:
            yield Piece(loc, _thing(said))
        except ValidationError as failure:
            for error in failure.errors(include_url=False):
                name = ".".join(map(str, error["loc"]))
                yield Piece((*loc, *error["loc"]), Flaw(f"{name}: {error['msg']}"))


def _bodies(value: object) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    loc: Loc = ()
    if isinstance(value, dict) and isinstance(listed := cast("dict[str, Any]", value).get("data"), list):
        loc, value = ("data",), cast("list[Any]", listed)
    many = isinstance(value, list)
    for place, one in enumerate(cast("list[Any]", value) if isinstance(value, list) else [value]):
        yield ((*loc, place) if many else loc), cast("Mapping[str, Any]", one) if isinstance(one, dict) else {}


def _thing(body: Mapping[str, Any]) -> Held | Told | Flaw:
    if "rubric" in body or "destination" in body:
        test = TestCreate.model_validate(body)
        fresh = to_scenario(test, id="", now=0)
        return Told(str(body.get("test_id", "")), fresh, lambda before: change_scenario(before, test))
    if "instructions" not in body and "name" not in body:
        return Flaw("this is neither an assistant, which has instructions, nor a test, which has a rubric")
    made = AssistantCreate.model_validate(body)
    version = to_version(made, version_id="", assistant_id="", now=0)
    tags = tuple(dict.fromkeys(made.tags)) if "tags" in body else None
    return Held(str(body.get("id", "")), version, tags=tags)


def check(version: Version) -> None:
    """Raises ``Rejected`` where this API would refuse the version."""
    found = semantic_problem(version)
    if found is not None:
        raise Rejected(f"{version.name!r}: {found.detail}")


def same(before: Version, wanted: Version) -> bool:
    """Whether this API says the same of both, but for what every version has of its own."""
    return _said(before, before) == _said(wanted, before)


def _said(version: Version, like: Version) -> dict[str, Any]:
    mine = replace(
        version, id=like.id, assistant_id=like.assistant_id, created_at=like.created_at, label=like.label, library={}
    )
    return dump_assistant(Assistant(like.assistant_id, mine, 0), default_model="")


def write(bundle: Bundle) -> Written:
    """A file for each assistant, and one for the tests, as the API answers them."""
    files: dict[str, Any] = {}
    notes: list[str] = []
    for one in bundle.assistants:
        if one.form is not Form.ASSISTANT:
            notes.append(f"The engine {one.id} is no assistant of this API, and stays behind.")
            continue
        body = dump_assistant(one, default_model="")
        if not body["model"]:
            del body["model"]
        files[f"assistants/{_slug(one.main.name)}-{one.id[-6:]}.json"] = body
    tests = [one for one in bundle.scenarios if one.brief]
    notes += [f"Test {one.name!r} has no instructions, and stays behind." for one in bundle.scenarios if not one.brief]
    if tests:
        files["tests.json"] = {"data": [dump_scenario(one) for one in tests]}
    notes += [f"Test {one.name!r}: {_left_out(one)} stay behind." for one in tests if _left_out(one)]
    return Written(files, tuple(notes))


def _left_out(scenario: Scenario) -> str:
    """What this API has no words for."""
    parts = {
        "its persona": scenario.persona,
        "its scripted turns": scenario.lines or scenario.hangs_up,
        "its mocks": scenario.mocks,
        "its variables": scenario.variables,
    }
    return " and ".join(name for name, there in parts.items() if there)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "assistant"


FORMAT = Format(read, write, check, same)
