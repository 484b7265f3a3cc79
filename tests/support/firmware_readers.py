"""How firmware families read the bytes of a line, as small models.

Each model is written down from what the family's documentation and the logs in
tests/transcripts show, and always in the most lenient way that any version may have:
what is refused by the model would be refused by the firmware, but not the other way
round. They share no code with the bridge's own parser, so they cannot share a mistake.

A model takes a line without number, checksum and line end, and returns all commands
that the firmware finds in it.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")
_STRTOD = re.compile(
    r"\s*([-+]?(?:0x[\da-f]+|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|inf(?:inity)?|nan))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Command:
    """What a firmware carries out.

    Attributes:
        code: ``G1``, ``M104``, ``T0``, or a name.
        values: the letters with their numbers (0 without one), or names with values.
        texts: letters with quoted texts.
        text: what a code takes that is followed by a text.

    """

    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


Reader = Callable[[str], list[Command]]


class ConfusedError(Exception):
    """The firmware would lose its place, run a shell, or evaluate an expression."""


def _code(letter: str, number: str) -> str:
    whole, _, sub = number.partition(".")
    name = f"{letter.upper()}{int(whole or 0)}"
    return f"{name}.{int(sub)}" if sub else name


_MARLIN_TEXTS = re.compile(r"M0*(23|28|30|32|33|16|117|118|928|81\d)\b")


def marlin(line: str) -> list[Command]:
    """Marlin 2: one command at the beginning; letters in either case; last one wins.

    A line that contains ``M110`` anywhere takes the next N for its number.
    """
    if "M110" in line:
        raise ConfusedError("takes it for a line number")
    early = re.match(r"\s*M(108|112|410)", line)
    found = [Command(f"M{early[1]}")] if early else []
    match = re.match(r"\s*([GMT])\s*(\d+(?:\.\d+)?|[?xc])", line, re.IGNORECASE)
    if match is None:
        return found
    if not match[2][0].isdigit():
        return [*found, Command(f"T{match[2]}")]
    code, rest = _code(match[1], match[2]), line[match.end() :]
    if early and Command(code) in found:
        found = []
    if _MARLIN_TEXTS.fullmatch(code.partition(".")[0]):
        return [*found, Command(code, text=rest.strip())]
    values: dict[str, object] = {}
    texts: dict[str, str] = {}
    at = 0
    while at < len(rest):
        letter = rest[at].upper()
        at += 1
        if not "A" <= letter <= "Z":
            continue
        if quote := re.match(r'\s*"([^"]*)"', rest[at:]):
            texts[letter] = quote[1]
            at += quote.end()
            continue
        number = re.match(rf"\s*({_NUMBER.pattern})?", rest[at:])
        assert number is not None
        values[letter] = float(number[1] or 0)
        at += number.end()
    return [*found, Command(code, values, texts)]


def _searched(line: str, after: int) -> float:
    match = _STRTOD.match(line, after)
    if match is None:
        return 0.0
    text = match[1].lower()
    return float(int(text, 16)) if "0x" in text else float(text)


def marlin1(line: str) -> list[Command]:
    """Marlin 1: searches the line for G, then M, then T, and for each letter it wants.

    A colon ends the line, so what follows is another one; ``strtod`` reads exponents.
    """
    found = []
    for part in line.partition(";")[0].split(":"):
        for letter in "GMT":
            at = part.find(letter)
            if at >= 0:
                found.append(_with_letters(part, letter, at))
                break
    return found


def _with_letters(line: str, letter: str, at: int) -> Command:
    number = _searched(line, at + 1)
    if not abs(number) < 1e9:
        raise ConfusedError("no code")
    if letter == "T" and line[at + 1 : at + 2] in {"?", "x", "c"}:
        return Command(f"T{line[at + 1]}")
    sub = re.match(r"\d+\.(\d+)", line[at + 1 :])
    code = f"{letter}{int(number)}" + (f".{int(sub[1])}" if sub else "")
    values: dict[str, object] = {
        other: _searched(line, line.find(other) + 1)
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        if other in line and other != letter
    }
    if line.find(letter, at + 1) >= 0:
        values[letter] = 0.0
    if (start := re.match(r"[\d.]*\s*", line[at + 1 :])) is not None:
        text = line[at + 1 + start.end() :]
    return Command(code, values, text=text.strip())


def prusa(line: str) -> list[Command]:
    """Prusa: as Marlin 1, but M117, PRUSA and ^ are found first, anywhere."""
    if (at := line.find("M117")) >= 0:
        return [Command("M117", text=line[at + 4 :].strip()), *_splits(line)]
    if "PRUSA" in line or "^" in line:
        raise ConfusedError("a command of its own")
    return marlin1(line)


def _splits(line: str) -> list[Command]:
    _, colon, rest = line.partition(":")
    return marlin1(rest) if colon else []


_KLIPPER_ARGUMENTS = re.compile(r"([A-Z_]+|[A-Z*])")
_KLIPPER_NAME = re.compile(
    r"^\s*(?:N[0-9]*\s+)?(?P<name>[a-zA-Z_][a-zA-Z0-9_]+)(?:\s+|$)"
    r"(?P<arguments>[^#*;]*?)\s*(?:[#*;].*)?$"
)


def klipper(line: str) -> list[Command]:
    """Klipper: skips N, splits at letters; names have arguments as in a shell."""
    line = line.partition(";")[0].strip()
    parts = _KLIPPER_ARGUMENTS.split(line.upper())
    if "".join(parts[:2]) == "N":
        parts = ["", *parts[3:]]
    name = "".join(parts[:3]).strip()
    if not name:
        return []
    if match := re.match(r"(M117|M118|M23|M28|M30)(?=\s|$)", name):
        text = line[line.upper().index(match[1]) + len(match[1]) :].strip()
        return [Command(match[1], text=re.sub(r"\*\d*$", "", text).strip())]
    if re.fullmatch(r"[A-Z]\d[\d.]*", name):
        return [
            Command(
                name,
                {
                    parts[i]: _klipper_number(parts[i + 1])
                    for i in range(3, len(parts) - 1, 2)
                },
            )
        ]
    match = _KLIPPER_NAME.match(line)
    if match is None or match["name"].upper() != name:
        raise ConfusedError("a malformed command")
    lexer = shlex.shlex(match["arguments"], posix=True)
    lexer.whitespace_split = True
    lexer.commenters = "#;"
    pairs = [item.split("=", 1) for item in lexer]
    return [Command(name, {pair[0].upper(): pair[1] for pair in pairs})]


def _klipper_number(text: str) -> float:
    return float(text.strip() or 0)


_DUET_CODE = re.compile(r"\s*(?:N\d+\s*)?([GMT])\s*(-?\d+(?:\.\d+)?)?", re.IGNORECASE)
_DUET_TEXTS = {"M23", "M28", "M30", "M32", "M36", "M38", "M117"}


def reprapfirmware(line: str) -> list[Command]:
    """RepRapFirmware: several commands a line; a G or M outside quotes begins one."""
    found = []
    at = 0
    while True:
        match = _DUET_CODE.match(line, at)
        if match is None:
            break
        number = match[2] or ""
        code = "T-1" if number == "-1" else _code(match[1], number.lstrip("-"))
        at = match.end()
        if code in _DUET_TEXTS:
            rest = line[at:].strip()
            text, _ = _duet_quote(rest, 0) if rest[:1] == '"' else (rest, 0)
            found.append(Command(code, text=text))
            break
        values, texts, at = _duet_letters(line, at)
        found.append(Command(code, values, texts))
    return found


def _duet_letters(line: str, at: int) -> tuple[dict[str, object], dict[str, str], int]:
    values: dict[str, object] = {}
    texts: dict[str, str] = {}
    while at < len(line):
        letter = line[at].upper()
        if letter in "GM":
            break
        if letter == ";":
            return values, texts, len(line)
        if letter in "{(":
            raise ConfusedError("an expression")
        at += 1
        if not "A" <= letter <= "Z":
            continue
        if line[at : at + 1] == '"':
            texts[letter], at = _duet_quote(line, at)
            continue
        match = re.compile(r"\s*([-+]?[\d.]+(?::[-+]?[\d.]+)*)?").match(line, at)
        assert match is not None
        values.setdefault(letter, match[1] if ":" in (match[1] or "") else _of(match))
        at = match.end()
    return values, texts, at


def _of(match: re.Match[str]) -> float:
    return float(match[1] or 0)


def _duet_quote(line: str, at: int) -> tuple[str, int]:
    text, at = "", at + 1
    while at < len(line):
        if line[at] == '"':
            if line[at + 1 : at + 2] != '"':
                return text, at + 1
            at += 1
        elif line[at] == "'":
            at += 1
            text += line[at : at + 1] if line[at : at + 1] == "'" else line[at].lower()
            at += 1
            continue
        text += line[at]
        at += 1
    raise ConfusedError("an unfinished text")


_REPETIER_TEXTS = {"M20", "M23", "M28", "M29", "M30", "M32", "M36", "M117", "M531"}


def repetier(line: str) -> list[Command]:
    """Repetier: letters in either case, wherever they are; G and M in one line."""
    return _anywhere(line, _REPETIER_TEXTS, end=r"[;(%*]")


def teacup(line: str) -> list[Command]:
    """Teacup: as Repetier, without texts other than the name of a file."""
    return _anywhere(line, {"M23", "M28", "M30"}, end=r"[;(*]")


def _anywhere(line: str, with_text: set[str], end: str) -> list[Command]:
    codes: dict[str, str] = {}
    values: dict[str, object] = {}
    at = 0
    found = re.compile(rf"\s*([A-Z])\s*({_NUMBER.pattern})?", re.IGNORECASE)
    while at < len(line):
        if re.match(end, line[at]):
            break
        match = found.match(line, at)
        if match is None:
            at += 1
            continue
        letter, at = match[1].upper(), match.end()
        if letter in "GM" or (letter == "T" and not codes):
            codes[letter] = _code(letter, (match[2] or "0").lstrip("+-"))
            if codes.get(letter) in with_text:
                return [Command(codes[letter], text=line[at:].strip())]
        elif letter == "N":
            raise ConfusedError("another line number")
        else:
            values[letter] = float(match[2] or 0)
    return [Command(code, values) for code in codes.values()]


def smoothieware(line: str) -> list[Command]:
    """Smoothieware: a new command at each G and M; lower case goes to its shell."""
    if not line[:1].isupper():
        raise ConfusedError("a command of its shell")
    found = []
    pieces = re.findall(r"[A-Z][^GM]*", line)
    for piece in pieces:
        match = re.match(r"([GMT])\s*(\d+(?:\.\d+)?)", piece)
        if match is None:
            continue
        code = _code(match[1], match[2])
        if code == "M1000":
            raise ConfusedError("a command of its shell")
        rest = piece[match.end() :].partition(";")[0]
        values: dict[str, object] = {}
        for letter, number in re.findall(r"([A-Z])\s*([-+\d.]*)", rest):
            values.setdefault(letter, float(number or 0))
        found.append(Command(code, values, text=rest.strip()))
    return found


READERS: Mapping[str, tuple[Reader, ...]] = {
    "marlin": (marlin,),
    "marlin1": (marlin1,),
    "prusa": (prusa, marlin1),
    "klipper": (klipper,),
    "reprapfirmware": (reprapfirmware,),
    "repetier": (repetier,),
    "smoothieware": (smoothieware,),
    "teacup": (teacup,),
    "malyan": (marlin1, marlin),
    "unknown": (marlin, marlin1, prusa, reprapfirmware, repetier, smoothieware),
}
"""A family to the ways in which its versions may read; each must find the same."""
