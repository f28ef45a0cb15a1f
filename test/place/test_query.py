import pytest

from cvgeo_ros.errors import PlaceError
from cvgeo_ros.place.query import LONGEST, check_query, query_note


def test_queries_are_stripped() -> None:
    assert check_query("  the hall\n beside the pond ") == "the hall beside the pond"
    assert check_query("a" * LONGEST)


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "empty"), (" \n\t", "empty"), ("x" * 10_000, "10000 characters, 2000"), ("12 ?! 3", "no letters")],
)
def test_what_cannot_be_answered_is_refused(text: str, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        check_query(text)


def test_other_scripts_are_remarked_on_where_only_english_is_known() -> None:
    for text in ("большой стадион", "体育场旁边的池塘", "στάδιο"):
        assert check_query(text) == text
        assert "English" in query_note(text)
        assert query_note(text, english=False) == ""
    assert query_note("the café beside the Straße, 图") == ""
