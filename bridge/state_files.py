"""Which retained topics we have left at the broker, known across restarts.

A renamed printer or a removed heater would else leave its topics there for ever. Each
file says whose it is: several bridges may share a folder, and none may clear what
another one lives by. The reasons are in ``docs/adr/0013-remembered-topics.md``.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

SUFFIX = ".retained.json"


def render(topics: Iterable[str], owner: str = "") -> str:
    """Return the content of a file."""
    document = {"owner": owner, "retained": sorted(topics)}
    return json.dumps(document, indent=1) + "\n"


def parse(text: str, owner: str = "") -> frozenset[str]:
    """Return the topics in an owner's file.

    Raises:
        ValueError: It is not one of ours.

    """
    document = json.loads(text)
    topics = document.get("retained") if isinstance(document, dict) else None
    if not isinstance(topics, list) or not all(
        isinstance(t, str) and t for t in topics
    ):
        raise ValueError("it has no list of topics")
    if document.get("owner", "") != owner:
        raise ValueError("it belongs to another configuration")
    return frozenset(topics)


def default_folder(environ: Mapping[str, str]) -> Path:
    """Return the state folder if the configuration names none.

    Args:
        environ: the environment; systemd's ``StateDirectory=`` sets a variable.

    """
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    state = environ.get("XDG_STATE_HOME")
    if state:
        return Path(state) / "gcode2mqtt"
    # Path.home() raises an error for a user that the system does not know, such as the
    # one that "docker run --user 12345" makes up.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    return home / ".local" / "state" / "gcode2mqtt"


class Memory:
    """The retained topics of one printer, in a file of its own.

    A file that cannot be read or written is worth one warning: the bridge goes on.

    Args:
        folder: made if it is not there.
        name: the printer's id.
        owner: who may read it: the configuration, and the broker it is for.

    """

    def __init__(self, folder: Path, name: str, owner: str = "") -> None:
        self._path = folder / f"{name}{_ending(owner)}"
        self._owner = owner
        self._warned = False
        self._changed = False
        self._topics = set(self._load())

    @property
    def topics(self) -> frozenset[str]:
        """The topics that have a value at the broker, as far as we know."""
        return frozenset(self._topics)

    def add(self, topic: str) -> None:
        """Remember a topic."""
        if topic not in self._topics:
            self._topics.add(topic)
            self._changed = True

    def discard(self, topic: str) -> None:
        """Forget a topic that the broker has cleared."""
        if topic in self._topics:
            self._topics.discard(topic)
            self._changed = True

    def save(self) -> None:
        """Write the file if anything changed; without topics there is none."""
        if not self._changed:
            return
        self._changed = False
        try:
            if self._topics:
                self._write()
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            self._warn("write", error)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when complete: a power cut leaves the old file or the new one.
        fresh = self._path.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(render(self._topics, self._owner), "utf-8")
        fresh.replace(self._path)

    def _load(self) -> frozenset[str]:
        try:
            return parse(self._path.read_text("utf-8"), self._owner)
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            self._warn("read", error)
            return frozenset()

    def _warn(self, verb: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "cannot %s %s (%s): retained topics that are no longer used will stay "
                "at the broker; give the bridge a folder with mqtt.state_folder",
                verb,
                self._path,
                # The whole text of an OSError names the path once more.
                getattr(error, "strerror", None) or error,
            )


def all_memories(folder: Path, owner: str = "") -> dict[str, Memory]:
    """Return an owner's memories in a folder by printer id: also of former printers."""
    ending = _ending(owner)
    try:
        names = os.listdir(folder)  # noqa: PTH208 - Path.glob hides or raises errors
    except OSError:
        names = []  # not made yet, or out of reach: saving warns about the latter
    ids = (name.removesuffix(ending) for name in names if name.endswith(ending))
    # Without an owner the ending is that of all files.
    return {
        name: Memory(folder, name, owner) for name in sorted(ids) if "." not in name
    }


@contextmanager
def exclusive(folder: Path, owner: str) -> Iterator[bool]:
    """Tell whether no other process works with an owner's files, until the block ends.

    Two containers may both call their configuration ``/config.yaml``, for example.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{_digest(owner)}.lock").open("a")
    except OSError:
        yield True  # then nothing is remembered either
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _ending(owner: str) -> str:
    return f".{_digest(owner)}{SUFFIX}" if owner else SUFFIX


def _digest(owner: str) -> str:
    """Return what makes the names of an owner's files its own."""
    return hashlib.sha256(owner.encode()).hexdigest()[:12]
