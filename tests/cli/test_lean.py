"""A server begins small. In a process of its own: this one has imported everything already."""

import json
import subprocess
import sys

TRIED = """
import gc, sys
from vivavoce.cli.lean import hurry
hurry()
import vivavoce.cli.process
assert not gc.isenabled()
print(sorted({"rich", "pygments"} & sys.modules.keys()), "structlog" in sys.modules)
vivavoce.cli.process.settle_memory()
assert gc.isenabled()
import rich.console
print(rich.console.Console is not None)
hurry()
print("rich" in sys.modules)
"""


def test_what_no_server_prints_is_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", TRIED], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["[] True", "True", "True"]


SERVES = """
import json, sys
from vivavoce.cli.lean import hurry
hurry()
import vivavoce.app, vivavoce.house
from vivavoce.api.telnyx.application import application
from vivavoce.api.telnyx.wire.assistant import VersionUpdate
import alembic.command
large = {"aiohttp", "jinja2", "jsonschema", "mcp", "pydantic_ai", "pygments", "rich", "websockets", "yaml"}
print(json.dumps([sorted(large & sys.modules.keys()), VersionUpdate.__pydantic_complete__]))
print(json.dumps(VersionUpdate.model_validate({"name": "Ann"}).name))
"""


def test_what_most_servers_never_use_is_imported_by_those_who_do() -> None:
    done = subprocess.run([sys.executable, "-c", SERVES], capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[[], False], "Ann"]
