"""Documents laid out as files: a file for each suite and for each assistant, which the suites name."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

SUITE, ASSISTANT = ".viva.yaml", ".yaml"
FOLDER = "assistants"
"""Where the assistants are, beside the suites."""

Say = Callable[[str], Any]
"""What a suite says instead of an assistant's id."""


def layout(suites: Sequence[Mapping[str, Any]], assistants: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Documents by the names of their files. ``assistants`` are documents by their ids; a suite that goes to one of
    them names its file, so that the suite is all that it takes to run it elsewhere."""
    taken: set[str] = set()
    known = titled(assistants)
    names = {id_: _free(f"{FOLDER}/", one["name"], ASSISTANT, taken) for id_, one in known.items()}
    found: dict[str, Any] = {names[id_]: one for id_, one in known.items()}
    for suite in suites:
        name = _free("", suite["suite"], SUITE, taken)
        found[name] = aimed(suite, assistants, lambda id_: {"file": names[id_]})
    return found


def titled(assistants: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The documents with names that tell them apart: where several have one name, the end of its id is put behind
    each."""
    many = Counter(one["name"] for one in assistants.values())
    return {
        id_: one if many[one["name"]] == 1 else {**one, "name": f"{one['name']} ({id_[-6:]})"}
        for id_, one in assistants.items()
    }


def aimed(suite: Mapping[str, Any], assistants: Mapping[str, Mapping[str, Any]], say: Say) -> dict[str, Any]:
    """The suite with what ``say`` says of an assistant's id in the place of its name or id; those that are not among
    these stay as they are."""
    by_name = {one["name"]: id_ for id_, one in assistants.items()}

    def told(document: Mapping[str, Any]) -> dict[str, Any]:
        whom = document.get("assistant")
        if isinstance(whom, str):
            id_ = by_name.get(whom)
        else:
            id_ = cast("Mapping[str, str]", whom).get("id") if isinstance(whom, Mapping) else None
        known = id_ is not None and id_ in assistants
        return {key: say(id_) if known and id_ and key == "assistant" else one for key, one in document.items()}

    return {**told(suite), "tests": [told(test) for test in suite["tests"]]}


def _free(folder: str, name: str, suffix: str, taken: set[str]) -> str:
    """The name of a file that no other has, whatever the case of its letters: some disks make no difference."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "unnamed"
    found, count = f"{folder}{plain}{suffix}", 1
    while found.casefold() in taken:
        count += 1
        found = f"{folder}{plain}-{count}{suffix}"
    taken.add(found.casefold())
    return found
