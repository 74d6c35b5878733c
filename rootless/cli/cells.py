"""How many columns of a terminal a text takes: wide characters take two, accents none.

Source: Unicode Standard Annex 11, East Asian Width.
"""


def width(text: str) -> int:
    """The columns of `text`, which has no control characters."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def cut(text: str, columns: int) -> str:
    """`text` in at most `columns`; … stands for an end that is left out."""
    if width(text) <= columns:
        return text
    taken = 0
    for place, character in enumerate(text):
        taken += _width(character)
        if taken > columns - 1:
            return f"{text[:place]}…"
    return text


def pad(text: str, columns: int) -> str:
    """cut(), filled with blanks."""
    short = cut(text, columns)
    return short + " " * (columns - width(short))


def _width(character: str) -> int:
    if character.isascii():
        return 1
    import unicodedata  # a library of its own, which most texts don't need

    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
