"""The examples of docs/reference/files.md are suites, and its tables name every key."""

import re
from pathlib import Path

import pytest

from vivavoce.files import schema
from vivavoce.files.reading import read_suites

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "files.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_first_example_is_a_suite(tmp_path: Path) -> None:
    path = tmp_path / "a.viva.yaml"
    path.write_text(EXAMPLES[0], "utf-8")
    (one,) = read_suites([path])
    assert [test.name for test in one.suite.tests] == ["Where is my order", "Asks for the number"]


def test_the_example_with_files_is_a_suite(tmp_path: Path) -> None:
    for name, text in {"assistants/desk.yaml": "name: Desk\n", "personas/dana.txt": "You are Dana."}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, "utf-8")
    path = tmp_path / "a.viva.yaml"
    path.write_text(EXAMPLES[1], "utf-8")
    assert read_suites([path])[0].suite.tests[0].persona == "You are Dana."


@pytest.mark.parametrize("shape", [schema.Suite, schema.Test, schema.Assistant, schema.Mock])
def test_every_key_is_told(shape: type[schema.Suite | schema.Test | schema.Assistant | schema.Mock]) -> None:
    assert [name for name in shape.model_fields if f"`{name}`" not in PAGE and f"`{name}:" not in PAGE] == []
