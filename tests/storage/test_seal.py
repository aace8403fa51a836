import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.storage.seal import Seal, Unreadable, derived

SEAL = Seal("a key")


@given(st.text(), st.text())
def test_what_was_sealed_for_a_place_opens_there(text: str, place: str) -> None:
    assert SEAL.open(SEAL.close(text, place), place) == text


def test_another_key_opens_nothing() -> None:
    sealed = SEAL.close("sesame", "org/door")
    assert Seal("a key").open(sealed, "org/door") == "sesame"
    with pytest.raises(Unreadable):
        Seal("another key").open(sealed, "org/door")


def test_what_was_moved_to_another_row_does_not_open() -> None:
    sealed = SEAL.close("sesame", "org/door")
    for elsewhere in ("org/window", "other/door", ""):
        with pytest.raises(Unreadable):
            SEAL.open(sealed, elsewhere)


def test_damage_is_noticed_wherever_it_is() -> None:
    sealed = SEAL.close("sesame", "here")
    for place in range(len(sealed)):
        with pytest.raises(Unreadable):
            SEAL.open(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], "here")
        with pytest.raises(Unreadable):
            SEAL.open(sealed[:place], "here")


def test_the_same_text_is_never_sealed_alike_and_shows_nowhere() -> None:
    first, second = SEAL.close("sesame", "here"), SEAL.close("sesame", "here")
    assert first != second
    assert b"sesame" not in first
    assert "a key" not in repr(SEAL)


def test_every_purpose_has_a_key_of_its_own() -> None:
    keys = {derived("a key", "secrets"), derived("a key", "signatures"), derived("b key", "secrets")}
    assert len(keys) == 3
    assert {len(key) for key in keys} == {32}
