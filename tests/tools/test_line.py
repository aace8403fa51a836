import pytest

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import Act, LineTarget, LineTool
from vivavoce.tools.line import NOTHING_CHARGED, act

SALES = LineTarget("+15550001", "Sales")
DESK = LineTarget("{{desk}}", "Desk of {{shop}}")
VARIABLES = {"desk": "+15550002", "shop": "Birch", "list": '[{"to": "+1", "name": "A"}, "+2", {"name": "?"}, null]'}


def transfer(*targets: LineTarget, template: str = "", kind: Act = Act.TRANSFER, **arguments: object) -> ToolOutput:
    return act(LineTool(kind, kind.value, targets, template), arguments, Filling(VARIABLES))


@pytest.mark.parametrize("target", ["Sales", "sales ", "+15550001"])
def test_a_target_is_named_by_name_or_address(target: str) -> None:
    assert transfer(SALES, DESK, target=target) == ToolOutput(
        "The caller is transferred to Sales (+15550001).", ok=True
    )


def test_variables_are_filled_into_targets() -> None:
    told = transfer(SALES, DESK, target="desk of birch", kind=Act.REFER)
    assert told == ToolOutput("The caller is referred to Desk of Birch (+15550002).", ok=True)


def test_the_only_target_need_not_be_named() -> None:
    told = transfer(LineTarget("sip:a@b.example"), kind=Act.INVITE)
    assert told == ToolOutput("sip:a@b.example was invited into the conversation.", ok=True)


@pytest.mark.parametrize(
    ("target", "said"), [("Nobody", "There is no target 'Nobody'. "), ("", "A target is needed. ")]
)
def test_an_unknown_target_is_refused_and_the_known_ones_are_named(target: str, said: str) -> None:
    assert transfer(SALES, DESK, target=target) == ToolOutput(f"{said}There is: Sales, Desk of Birch.", ok=False)


@pytest.mark.parametrize(
    ("template", "target", "said"),
    [
        ("{{desk}}", "", "The caller is transferred to +15550002."),
        ("sip:{{shop}}@b.example", "", "The caller is transferred to sip:Birch@b.example."),
        ("{{list}}", "a", "The caller is transferred to A (+1)."),
        ("{{list}}", "+2", "The caller is transferred to +2."),
    ],
)
def test_one_template_becomes_an_address_or_an_array(template: str, target: str, said: str) -> None:
    assert transfer(template=template, target=target) == ToolOutput(said, ok=True)


@pytest.mark.parametrize("template", ["{{unset}}", "", "[]", "{}", "null", "[{}]"])
def test_without_a_target_nobody_is_reached(template: str) -> None:
    assert transfer(template=template) == ToolOutput("There is nobody to reach: the tool has no target.", ok=False)


@pytest.mark.parametrize(("digits", "ok"), [("12w#", True), (5, True), ("", False), (" ", False), ("12x", False)])
def test_keys_are_pressed(digits: object, ok: bool) -> None:
    output = transfer(kind=Act.TONES, digits=digits)
    assert output.ok is ok
    assert (f"The keys {digits} were pressed." == output.text) is ok


def test_nothing_is_charged() -> None:
    assert transfer(kind=Act.PAY) == ToolOutput(NOTHING_CHARGED, ok=False)
