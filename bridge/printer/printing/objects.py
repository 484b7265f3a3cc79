"""Which object of a file is being printed, and which are left out.

The bridge itself leaves out the moves of an excluded object, with every firmware. The
firmwares that can do it differ in how, and few are built with it.
"""

import re
from collections.abc import Collection

from bridge.gcode.line import Line

_BEGIN = re.compile(
    r";\s*(?:start )?printing object,? (?:unique label id: )?(?P<name>.+)"
    r"|;MESH:(?P<mesh>.+)",
    re.ASCII | re.IGNORECASE,
)
_END = re.compile(r";\s*stop printing object|;MESH:NONMESH", re.ASCII | re.IGNORECASE)
"""Comments of PrusaSlicer and its forks (``; printing object cube.stl id:0 copy 0``),
Bambu Studio (``; start printing object, unique label id: 15``) and Cura
(``;MESH:cube.stl``)."""


MOST = 256
"""Objects of one file that can be excluded. All of them are in the retained message
``job/state``."""


class Objects:
    """The objects of one file, in the order in which they were seen.

    Klipper's codes are ``EXCLUDE_OBJECT_DEFINE``, ``…_START`` and ``…_END`` with a
    ``NAME``; Marlin's and Prusa's is ``M486`` (``S1`` begins the object of that number,
    ``S-1`` ends it, ``A`` is its name). Where a file has codes, its comments about the
    same objects do not count.

    Args:
        known: names that the file is known to have.

    Attributes:
        current: the object that is printed; ``""``: none.
        excluded: the objects that are left out.

    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._names: dict[str, str] = {}
        for name in known:
            self._name(name)
        self._labels: dict[int, str] = {}
        self._number = -1
        self._coded = False
        self.current = ""
        self.excluded: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All known names."""
        return tuple(self._names.values())

    @property
    def left_out(self) -> bool:
        """Whether the current object is excluded."""
        return self.current in self.excluded

    def find(self, name: str) -> str | None:
        """Return an object's name as the file has it; ``None``: it has no such."""
        return self._names.get(name.strip().casefold())

    def exclude(self, name: str) -> None:
        """Leave an object out from now on."""
        if name not in self.excluded:
            self.excluded = (*self.excluded, name)

    def comment(self, text: str) -> bool:
        """Process a comment; return whether it is about an object."""
        if self._coded:
            return False
        if _END.match(text):
            self.current = ""
            return True
        found = _BEGIN.match(text)
        if found is None:
            return False
        self._begin(found["name"] or found["mesh"])
        return True

    def code(self, line: Line) -> None:
        """Process a line with one of the codes."""
        match line.code:
            case "EXCLUDE_OBJECT_DEFINE":
                self._name(_named(line))
            case "EXCLUDE_OBJECT_START":
                self._coded = True
                self._begin(_named(line))
            case "EXCLUDE_OBJECT_END":
                self.current = ""
            case "M486":
                self._labelled(line)

    def _begin(self, name: str) -> None:
        self.current = self._name(name)

    def _name(self, name: str) -> str:
        name = name.strip()
        # Without a name it cannot be excluded: "" means that no object is printed.
        if not name or len(self._names) >= MOST:
            return self._names.get(name.casefold(), name)
        return self._names.setdefault(name.casefold(), name)

    def _labelled(self, line: Line) -> None:
        self._coded = True
        number = line.values.get("S")
        if number is not None:
            self._number = int(number)
            label = self._labels.get(self._number, f"object {self._number}")
            self.current = self._name(label) if number >= 0 else ""
        self.label(dict(line.quoted).get("A", ""))

    def label(self, label: str) -> None:
        """Note the name of the object that ``M486 S`` has begun."""
        if label and self._number >= 0:
            self._names.pop(f"object {self._number}", None)
            self._labels[self._number] = self.current = self._name(label)


def _named(line: Line) -> str:
    return dict(line.parameters).get("NAME", "")


CODES = frozenset(
    {"EXCLUDE_OBJECT_DEFINE", "EXCLUDE_OBJECT_START", "EXCLUDE_OBJECT_END", "M486"}
)
"""The codes that :meth:`Objects.code` reads."""
