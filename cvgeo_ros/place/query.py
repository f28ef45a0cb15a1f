"""What may be asked: a sentence with letters, of bounded length."""

import unicodedata

from ..errors import PlaceError

LONGEST = 2000
"""Characters of a query."""


def check_query(text: str) -> str:
    """Strip a query.

    Raises:
        PlaceError: empty, longer than `LONGEST` characters, or without a letter.
    """
    stripped = " ".join(text.split())
    if not stripped:
        raise PlaceError("the query is empty: describe the place in a sentence")
    if len(stripped) > LONGEST:
        raise PlaceError(
            f"the query has {len(stripped)} characters, {LONGEST} are the most: describe the place in a few sentences"
        )
    if not any(character.isalpha() for character in stripped):
        raise PlaceError(f"the query {stripped[:40]!r} holds no letters: describe the place in words")
    return stripped


def query_note(text: str, english: bool = True) -> str:
    """A remark for the answer where the text tower will hardly understand the query, else "".

    Args:
        text: a checked query.
        english: whether the text tower knows the Latin script alone (`PlaceConfig.english`).
    """
    letters = [character for character in text if character.isalpha()]
    foreign = sum(not unicodedata.name(character, "").startswith("LATIN") for character in letters)
    if english and foreign > len(letters) / 2:
        return "the text model was trained on English; a query in this script is answered, but hardly understood"
    return ""
