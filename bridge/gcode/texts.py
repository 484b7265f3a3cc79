"""Texts in lines of G-code, written so that no firmware finds a code in them."""

import re
import unicodedata

from bridge.gcode.codes import Code, Syntax, TextStyle

_LIKE = (
    "ä=ae ö=oe ü=ue ß=ss æ=ae œ=oe ø=oe å=aa þ=th ð=d đ=d ł=l "
    "Ä=Ae Ö=Oe Ü=Ue ẞ=SS Æ=Ae Œ=Oe Ø=Oe Å=Aa Þ=Th Ð=D Đ=D Ł=L "
    "\N{LEFT SINGLE QUOTATION MARK}=' \N{RIGHT SINGLE QUOTATION MARK}=' "
    '“=" ”=" „=" «=" »=" \N{EN DASH}=- —=- \N{MINUS SIGN}=- •=- …=... €=EUR ·=. '
    "°= \N{MULTIPLICATION SIGN}=x µ=u \N{GREEK SMALL LETTER MU}=u →=-> ←=<-"
)
_SPELLED = str.maketrans(
    {"\N{NO-BREAK SPACE}": " ", "\t": " "}
    | dict(pair.split("=", 1) for pair in _LIKE.split())
)
"""ASCII spellings: those that are usual in a letter's language, and signs that look
similar."""

_NEVER = str.maketrans({";": ",", "*": "x"})
"""Firmwares read ``;`` as the beginning of a comment and ``*`` as that of a checksum,
even in a text: Marlin 2.1 answers a numbered line with a comment in it with ``No
Checksum with line number`` (tests/transcripts/marlin/m21-lines.txt)."""


def plain(text: str) -> str:
    """Return a text in printable ASCII: accents left out, ``ä`` spelled ``ae``.

    A sign that has no likeness becomes ``?``. Line breaks and other control characters
    are not changed, because a text with them is not a line.
    """
    if text.isascii() and "\t" not in text:
        return text
    spelled = unicodedata.normalize("NFC", text).translate(_SPELLED)
    letters = unicodedata.normalize("NFKD", spelled)
    return "".join(
        letter if letter.isascii() else "?"
        for letter in letters
        if not unicodedata.combining(letter)
    )


def harmless(text: str, syntax: Syntax) -> str:
    """Return a display text in which a family finds no code, comment or checksum."""
    return quiet(plain(text).translate(_NEVER), syntax).strip()


def quiet(text: str, syntax: Syntax) -> str:
    """Return a text in which a family finds no code, such as the name of a file."""
    if syntax.style is TextStyle.LOWER:
        text = text.lower()
    for sign, instead in syntax.replaced:
        text = text.replace(sign, instead)
    return text


_HARMLESS_NAME = re.compile(r"[A-FH-MORSU-Z0-9]*", re.ASCII)
"""What may stand in quotes in upper case where codes are searched for: the model of a
printer in ``M862.3 P"MK3S"``, which must be right to the letter."""


def in_quotes(text: str, row: Code, syntax: Syntax) -> str:
    """Return a text for between quotes, in which a family finds no code either."""
    if row.reads and _HARMLESS_NAME.fullmatch(text):
        return text
    return quiet(text, syntax)


def quoted(text: str) -> str:
    """Return a text in double quotes, as RepRapFirmware reads it.

    In quotes ``""`` is one quote, and ``''`` one apostrophe, because a single one would
    change the case of the next letter.
    """
    doubled = text.replace('"', '""').replace("'", "''")
    return f'"{doubled}"'
