import pytest

from vivavoce.core.scope import Scope


@pytest.mark.parametrize("mine", Scope)
@pytest.mark.parametrize("needed", Scope)
def test_each_scope_includes_those_before_it(mine: Scope, needed: Scope) -> None:
    order = [Scope.READ, Scope.RUN, Scope.ADMIN]
    assert mine.allows(needed) is (order.index(mine) >= order.index(needed))


def test_what_a_scope_allows_can_be_told() -> None:
    assert [scope.told for scope in Scope] == ["only read", "only read and run", "do everything"]
