"""Documents → tidy YAML: keys in the order they have, texts of several lines in blocks, nothing shared."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from vivavoce.files.trees import is_text

_WIDTH = 110
_ESCAPED = re.compile("[\r\x85\u2028\u2029\ufeff]")
"""What counts as the end of a line somewhere, and would come back as another one."""


class _Dumper(yaml.SafeDumper):
    """Writes lists a step in, as people do, and everything as often as it stands there."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(document: Mapping[str, Any], schema: str | None = None) -> str:
    """The document, which is plain data, as a file; reading that gives the document again. ``schema`` is the address
    of the JSON Schema that the first line names for editors."""
    head = f"# yaml-language-server: $schema={schema}\n" if schema else ""
    return head + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _ESCAPED.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"  # the library takes another where a block cannot hold it
    else:
        style = None if is_text(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)
