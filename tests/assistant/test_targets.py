import pytest

from vivavoce.assistant.targets import named, reachable
from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import Act, LineTarget, LineTool

ANN = LineTarget("+1", "Ann")


def test_targets_are_templates() -> None:
    tool = LineTool(Act.TRANSFER, "t", (LineTarget("{{number}}", "{{who}}", "Hello {{who}}"),))
    (found,) = reachable(tool, Filling({"number": "+1", "who": "Ann"}))
    assert found == LineTarget("+1", "Ann", "Hello {{who}}")
    assert (named(found), named(LineTarget("+1"))) == ("Ann", "+1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("+15551234", (LineTarget("+15551234"),)),
        ("15551234", (LineTarget("15551234"),)),
        ('"+1"', (LineTarget("+1"),)),
        ("sip:ann@example.com", (LineTarget("sip:ann@example.com"),)),
        (["+1", "+2"], (LineTarget("+1"), LineTarget("+2"))),
        ([{"to": "+1", "name": "Ann"}, {"sip_address": "sip:b@c"}, {"name": "?"}, None], (ANN, LineTarget("sip:b@c"))),
        ({"to": "+1", "name": "Ann"}, (ANN,)),
        (5, (LineTarget("5"),)),
        ("", ()),
        (None, ()),
        ("null", ()),
        ("[" * 100_000, ()),
    ],
)
def test_one_template_becomes_an_address_or_a_list(value: object, expected: tuple[LineTarget, ...]) -> None:
    found = reachable(LineTool(Act.TRANSFER, "t", targets_template=" {{who}} "), Filling({"who": value}))
    assert found == expected if not isinstance(value, str) or len(value) < 1000 else isinstance(found, tuple)


def test_while_its_variable_is_not_set_a_template_reaches_nobody() -> None:
    assert reachable(LineTool(Act.TRANSFER, "t", targets_template="{{who}}"), Filling({})) == ()
