from typing import Any

import pytest

from vivavoce.core.depth import MAX_DEPTH, shallow


def nested(levels: int, *, lists: bool) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value, 2] if lists else {"a": value}
    return value


@pytest.mark.parametrize("lists", [True, False])
def test_depth_has_a_limit(*, lists: bool) -> None:
    assert shallow(nested(MAX_DEPTH, lists=lists))
    assert not shallow(nested(MAX_DEPTH + 1, lists=lists))


def test_what_holds_nothing_is_as_shallow_as_can_be() -> None:
    assert shallow("text", 0)
    assert not shallow({}, 0)
