"""A page that is not true is noticed when it is played."""

from pathlib import Path

import pytest
from tests.support.fences import Play, fences, play

PAGE = """\
```yaml
# a/file.yaml
name: {name}
```

1. Then:

   ```sh
   export WHO=you
   cat a/file.yaml
   ```

```sh
{command}
```

```text
Hello …!
```
"""


def played(folder: Path, *, command: str = 'echo "Hello $WHO!"', name: str = "it", **given: dict[str, str]) -> None:
    page = folder / "page.md"
    page.write_text(PAGE.format(command=command, name=name), "utf-8")
    found = [(one.language, one.name, one.line) for one in fences(page)]
    assert found == [("yaml", "a/file.yaml", 1), ("sh", None, 8), ("sh", None, 13), ("text", None, 17)]
    play(page, Play(folder, given.get("instead", {}), {}, given.get("passed_over", {})))


def test_what_is_true_passes(tmp_path: Path) -> None:
    played(tmp_path)
    assert (tmp_path / "a/file.yaml").read_text("utf-8") == "# a/file.yaml\nname: it\n"


def test_words_are_replaced_and_blocks_passed_over(tmp_path: Path) -> None:
    played(
        tmp_path, name="port 1", instead={"port 1": "port 2", "$WHO": "nobody"}, passed_over={"export WHO=you": "no"}
    )
    assert "port 2" in (tmp_path / "a/file.yaml").read_text("utf-8")


@pytest.mark.parametrize("command", ["echo Hello", "false", "echo 'Hello you!' | cat no-file", 'echo "Hello $NOBODY!"'])
def test_what_is_not_true_fails(tmp_path: Path, command: str) -> None:
    with pytest.raises(AssertionError):
        played(tmp_path, command=command)
