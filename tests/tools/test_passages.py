import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.tools.passages import LARGEST, Unreadable, cut, text_of

PAGE = """<!doctype html><html><head><title>Shop</title><style>p { color: red }</style></head>
<body><h1>Returns &amp; refunds</h1><script>let x = "<p>no</p>";</script>
<p>You may send   shoes
back.</p><ul><li>Within <b>30</b> days</li><li>Unworn<br>and boxed</li></ul><svg><text>logo</text></svg>
<table><tr><td>A</td><td>B</td></tr></table>the end</body></html>"""


def test_text_and_markdown_are_taken_as_they_are() -> None:
    assert text_of("a.txt", "\ufeffGrüße\r\nzwei\rdrei".encode()) == "Grüße\nzwei\ndrei"
    assert text_of("notes/A.MD", b"# Title\n\n*text*") == "# Title\n\n*text*"


@pytest.mark.parametrize("name", ["page.html", "PAGE.HTM"])
def test_a_page_gives_its_words(name: str) -> None:
    assert text_of(name, PAGE.encode()).split("\n\n") == [
        "Returns & refunds",
        "You may send shoes back.",
        "Within 30 days",
        "Unworn",
        "and boxed",
        "A",
        "B",
        "the end",
    ]


def test_a_page_that_was_not_tidied_up_is_read_all_the_same() -> None:
    assert text_of("a.html", b"<head><title>x<body>one</p></script><p>two <3 &nbsp;three") == "one\n\ntwo <3 three"


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.pdf", b"%PDF-1.7", "only text"),
        ("a", b"text", "only text"),
        ("a.docx", b"PK", "only text"),
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.txt", b"a\x00b", "NUL"),
        ("a.txt", b" \n ", "no text"),
        ("a.html", b"<script>1</script>", "no text"),
        ("a.txt", b"x" * (LARGEST + 1), "larger than 10 MiB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(name: str, data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as failure:
        text_of(name, data)
    assert str(failure.value).startswith(f"{name}: ")


def test_a_short_text_is_one_passage() -> None:
    assert cut("  one\n\ntwo ") == ["one\n\ntwo"]
    assert cut("") == cut(" \n ") == []


def test_a_cut_is_made_at_the_best_border_there_is() -> None:
    assert cut("aaaa bbbb. cc\n\ndd ee ff", 18, 0) == ["aaaa bbbb. cc", "dd ee ff"]
    assert cut("aaaa bbbb cc.\ndd ee ff", 18, 0) == ["aaaa bbbb cc.", "dd ee ff"]
    assert cut("aaaa bbbb ccc? dd ee ff", 18, 0) == ["aaaa bbbb ccc?", "dd ee ff"]
    assert cut("aaaa bbbb cccc dddd eeee", 18, 0) == ["aaaa bbbb cccc", "dddd eeee"]
    assert cut("x" * 25, 10, 4) == ["x" * 10, "x" * 10, "x" * 5]


def test_passages_overlap_by_whole_words() -> None:
    eight = "one two three four five six seven eight"
    assert cut(eight, 30, 10) == ["one two three four five six", "five six seven eight"]
    assert cut(eight, 24, 10) == ["one two three four five", "four five six seven", "six seven eight"]


@given(st.text(alphabet="ab. \n", max_size=300), st.integers(1, 40), st.integers(0, 60))
def test_nothing_is_lost_and_no_passage_is_too_long(text: str, length: int, overlap: int) -> None:
    pieces = cut(text, length, overlap)
    assert all(0 < len(piece) <= length for piece in pieces)
    covered = set[int]()
    for piece in pieces:
        at = text.find(piece)
        while at >= 0:
            covered.update(range(at, at + len(piece)))
            at = text.find(piece, at + 1)
    assert all(sign.isspace() for place, sign in enumerate(text) if place not in covered)
