"""Paths that lead to suites."""

from pathlib import Path

import pytest

from vivavoce.running.loading import NotLoaded, load

SUITE = """\
suite: {name}
assistant: Desk
tests:
  - name: Order
    scenario: You wait for an order.
    criteria: [It is polite]
"""


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems(*paths: Path) -> list[str]:
    with pytest.raises(NotLoaded) as caught:
        load(paths)
    return [str(one) for one in caught.value.problems]


def test_files_and_directories(tmp_path: Path) -> None:
    put(tmp_path / "b.viva.yaml", SUITE.format(name="b"))
    put(tmp_path / "deep" / "a.viva.yml", SUITE.format(name="a"))
    put(tmp_path / ".hidden" / "c.viva.yaml", SUITE.format(name="c"))
    put(tmp_path / "node_modules" / "d.viva.yaml", SUITE.format(name="d"))
    put(tmp_path / "other.yaml", "nothing: of ours")
    assert [plan.suite for plan in load([tmp_path])] == ["b", "a"]
    # By its name a file may be called anything, and is loaded once.
    named = put(tmp_path / "named.yaml", SUITE.format(name="named"))
    assert [plan.suite for plan in load([named, named, tmp_path / "deep"])] == ["named", "a"]


def test_tests_know_their_lines(tmp_path: Path) -> None:
    (plan,) = load([put(tmp_path / "a.viva.yaml", SUITE.format(name="a"))])
    assert (plan.file, plan.lines) == (str(tmp_path / "a.viva.yaml"), {"Order": 4})
    assert plan.pointed is not None
    assert str(plan.pointed("odd", "/body/tests/0/name")).startswith(f"{plan.file}:4:")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    put(tmp_path / "a.viva.yaml", SUITE.format(name="a") + "oops: 1\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    told = problems(tmp_path / "missing", empty, tmp_path)
    assert told[0] == f"{tmp_path / 'missing'}: there is no such file or directory"
    assert told[1].startswith(f"{empty}: no file below it ends in .viva.yaml")
    assert told[2].startswith(f"{tmp_path / 'a.viva.yaml'}:7:1: there is no key 'oops' here")


def test_a_test_stands_in_one_file(tmp_path: Path) -> None:
    first = put(tmp_path / "a.viva.yaml", SUITE.format(name="a"))
    put(tmp_path / "b.viva.yaml", SUITE.format(name="a"))
    place = tmp_path / "b.viva.yaml"
    assert problems(tmp_path) == [f"{place}:4:5: the suite 'a' has the test 'Order' in {first}:4 already"]
