import pytest

from vivavoce.core.tool import ToolMock

VALUES = [
    True,
    False,
    1,
    0,
    "1",
    None,
    [],
    {},
    [1],
    [True],
    [[1]],
    {"a": 1},
    {"a": True},
    {"b": 1},
    {"a": [0]},
    {"a": [False]},
]


@pytest.mark.parametrize("wanted", VALUES)
@pytest.mark.parametrize("given", VALUES)
def test_a_mock_s_argument_equals_only_the_same_json(wanted: object, given: object) -> None:
    matches = ToolMock("f", "x", {"v": wanted}).matches("f", {"v": given})
    assert matches is (repr(wanted) == repr(given))


def test_a_number_is_a_number_however_it_is_written() -> None:
    assert ToolMock("f", "x", {"v": [1.0]}).matches("f", {"v": (1,)})
