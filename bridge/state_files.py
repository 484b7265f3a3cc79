"""The files in the state folder: what the bridge remembers between two runs.

There are nine kinds, one file of each for each printer: the retained topics that it
left at the broker (:class:`TopicRecord`), the port where it was found, what is known of
it as a Home Assistant device, what is known of its print, how far a print of the bridge
has come, the prints that wait and those that have ended, when its heaters were used
last, and its firmware. One more file has a random number, from which client ids are
derived (:func:`installation_digest`). No file is needed to serve a printer. So whatever
is in the folder - a damaged file, a directory, a link, something that we may not read -
costs a warning, and never the start.
"""

import errno
import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from bridge.validation_errors import sentence, written

log = logging.getLogger(__name__)

LARGEST = 4 * 1024 * 1024
"""Bytes of a state file that are read at most. The largest ones list retained topics:
a few kilobytes for a printer with many heaters."""

PLACE = ".place.json"
"""What follows the printer's id in the name of the file with its :class:`KnownPort`."""

DEVICE = ".announced.json"
"""The same for what is known of it as a Home Assistant device."""

JOB = ".job.json"
"""The same for its print, the last result, and whether its port is released."""

PRINT = ".print.json"
"""The same for how far a print of the bridge has come."""

QUEUE = ".queue.json"
"""The same for the prints that wait."""

HISTORY = ".history.json"
"""The same for the prints that have ended."""

HEAT = ".heaters.json"
"""The same for when it was used last, and what its heaters were set to."""

FIRMWARE = ".firmware.json"
"""The same for its :class:`KnownFirmware`."""

RETAINED = ".retained.json"
"""The same for its retained topics; the owner's digest may come before it."""

RANDOM_NUMBER = "client-ids.json"
"""The file with the :class:`_Secret`."""

MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
"""Where the machine's id is; it is confidential (``man 5 machine-id``), and missing in
most containers."""

DAMAGED = ".damaged"
"""What is added to the name of a file that cannot be used; a number may follow."""

_MOST_DAMAGED = 10  # damaged files of one name that are kept for a look
FLUSH_TIMEOUT = 5.0
"""Seconds to wait for a disk before reading a file again, or at the end."""

_Model = TypeVar("_Model", bound=BaseModel)


class KnownPort(BaseModel):
    """Where a printer was found the last time, so that it is tried there first."""

    model_config = ConfigDict(frozen=True)

    port: str
    """A device path or URL."""
    baudrate: int
    """In bits per second."""


class KnownFirmware(BaseModel):
    """What a printer said that it runs, for files that arrive while it is off."""

    model_config = ConfigDict(frozen=True)

    family: Literal[
        "marlin",
        "marlin1",
        "prusa",
        "klipper",
        "reprapfirmware",
        "repetier",
        "smoothieware",
        "malyan",
        "teacup",
        "unknown",
    ]
    """The name of its dialect."""


class _RetainedTopics(BaseModel):
    """The content of a :class:`TopicRecord`'s file."""

    owner: str = ""
    retained: list[Annotated[str, StringConstraints(min_length=1)]]


class _Secret(BaseModel):
    """A random number that nobody else knows."""

    secret: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


def load(path: Path, model: type[_Model]) -> _Model:
    """Return the content of a state file.

    Args:
        path: the file.
        model: what its JSON must be.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        ValueError: It is not a regular file of ours; the message is half a sentence.

    """
    _DISK.flush(FLUSH_TIMEOUT)
    content = _content(path)
    try:
        # pydantic's own JSON parser limits the nesting of the document: json.loads
        # raises a RecursionError for a file of 100,000 opening brackets.
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = written(first["loc"]) or "it"
        raise ValueError(f"{place} {sentence(first, given='')}") from None


def recall(path: Path, model: type[_Model]) -> _Model | None:
    """Return the content of a state file, or ``None`` if it cannot be used.

    A file that exists and cannot be used is worth a warning. A damaged one is renamed.
    """
    try:
        return load(path, model)
    except FileNotFoundError:
        return None
    except OSError as error:
        # If it is the folder, TopicRecord warns about that, once for all files.
        folder_usable = os.access(f"{path.parent}/.", os.X_OK, effective_ids=True)
        level = logging.WARNING if folder_usable else logging.DEBUG
        log.log(level, "ignoring the state file %s: %s", path, _reason(error))
    except ValueError as error:
        log.warning("ignoring the state file %s: %s%s", path, error, set_aside(path))
    return None


def set_aside(path: Path) -> str:
    """Rename a damaged file, directory or link; return what to say about it."""
    for number in range(_MOST_DAMAGED):
        name = f"{path.name}{DAMAGED}{f'.{number}' if number else ''}"
        target = path.with_name(name)
        if os.path.lexists(target):
            continue
        with suppress(OSError):
            path.rename(target)
            return f", renamed to {name}"
    return " (it cannot be renamed; remove it)"


def remember(path: Path, document: BaseModel) -> None:
    """Write a state file soon if that is possible; its folder is created.

    What cannot be written is tried again with the next file that can be, and at the
    end. A disk without room is worth one warning for each folder. Another failure is
    only logged for debugging: :class:`TopicRecord`, which writes into the same folder,
    warns about it.
    """

    def failed(error: OSError) -> None:
        if error.errno not in _NO_ROOM or path.parent in _FULL:
            log.debug("cannot write %s: %s", path, _reason(error))
            return
        _FULL.add(path.parent)
        log.warning(
            "cannot write %s: %s; printing and everything else continues, but changes "
            "from now on (to the queue, the history, the progress of a print) are lost "
            "if the bridge ends before there is space again",
            path,
            _reason(error),
        )

    def work() -> None:
        _write(path, text, 0o666)
        if path.parent in _FULL:
            _FULL.discard(path.parent)
            log.info("%s has room again, and everything is written", path.parent)

    text = _text(document)
    _DISK.write(path, work, failed)


@contextmanager
def flushed() -> Iterator[None]:
    """Wait at the end of the block until everything is on the disk, for a while."""
    try:
        yield
    finally:
        if not flush():
            log.warning("the disk is so slow that state files may be lost")


def flush(within: float = FLUSH_TIMEOUT) -> bool:
    """Wait until everything is on the disk; return whether it is."""
    return _DISK.flush(within)


def save(path: Path, document: BaseModel, mode: int = 0o666) -> None:
    """Write a state file; its folder is created.

    Args:
        path: the file.
        document: its content.
        mode: who may read it, unless the umask allows less.

    Raises:
        OSError: It cannot be written.

    """
    _write(path, _text(document), mode)


def _text(document: BaseModel) -> str:
    return json.dumps(document.model_dump(), indent=1) + "\n"


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is complete and on the disk, so that a crash or a power cut leaves
    # the old file or the new one.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)  # of a process that was killed
    # Whoever may write into the folder must not be able to have us overwrite another
    # file of ours through a link of that name.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(fresh, flags, mode), "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk is full, the user's share of it is, or the file may not grow."""

_LINGER = 10.0
"""Seconds that the thread waits for more, longer than between two checkpoints of a
print: the start of a thread blocks the event loop until the machine lets it run."""

_FULL: set[Path] = set()
"""Folders that had no room at the last attempt; used in the disk's thread only."""


class _Disk:
    """Writes files in a thread, which ends if nothing comes; the latest of each.

    What has failed is tried again as soon as something else can be written.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Path, Callable[[], None]] = {}
        self._failed: dict[Path, Callable[[], None]] = {}
        self._working = False
        self._has_thread = False

    def write(
        self,
        path: Path,
        work: Callable[[], None],
        failed: Callable[[OSError], None],
    ) -> None:
        """Do something with a file soon, instead of anything that waits for that file.

        Args:
            path: the file.
            work: what to do.
            failed: is called in the thread with what it raised.

        """

        def attempt() -> None:
            try:
                work()
            except OSError as error:
                failed(error)
                with self._changed:
                    self._failed[path] = again
            else:
                self._try_again()

        # In this context: log lines name the printer.
        again = partial(copy_context().run, attempt)
        with self._changed:
            self._failed.pop(path, None)
            self._waiting[path] = again
            if error := self._start():
                del self._waiting[path]
                failed(error)

    def _start(self) -> OSError | None:
        """Let a thread do what waits; return why that is not possible."""
        if self._has_thread:
            self._working = True
            self._changed.notify_all()
            return None
        thread = threading.Thread(target=self._run, name="state files", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there are too many threads
            return OSError(str(error))
        self._working = self._has_thread = True
        return None

    def _try_again(self) -> None:
        """Have everything that has failed wait, unless something newer does."""
        with self._changed:
            self._waiting = {**self._failed, **self._waiting}
            self._failed.clear()

    def flush(self, within: float) -> bool:
        """Wait until nothing is left to write; return whether that is so.

        What has failed is tried once more.
        """
        with self._changed:
            if self._failed:
                self._try_again()
                self._start()
            return self._changed.wait_for(lambda: not self._working, within)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._working = False
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._waiting, _LINGER)
                if not self._waiting:
                    self._has_thread = False
                    return
                path = next(iter(self._waiting))
                work = self._waiting.pop(path)
            work()


_DISK = _Disk()


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


def installation_digest(
    folder: Path, owner: str, machine_ids: Iterable[Path] = MACHINE_IDS
) -> str:
    """Return 16 hexadecimal digits that nobody can guess, the same in each run.

    They differ between machines, state folders and configurations. If the random number
    cannot be kept, they depend on the machine's id instead; without that as well they
    are others in each run.

    Args:
        folder: the state folder.
        owner: the configuration, and the broker it is for.
        machine_ids: files that may have the machine's id.

    """
    machine = _first_line(machine_ids)
    key = _secret(folder / RANDOM_NUMBER) or machine or secrets.token_hex(32)
    content = f"{machine}\n{owner}".encode()
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()[:16]


def _secret(path: Path) -> str:
    """Return the random number of a state folder; "" if it cannot be kept."""
    if (known := recall(path, _Secret)) is not None:
        return known.secret
    fresh = _Secret(secret=secrets.token_hex(32))
    try:
        save(path, fresh, mode=0o600)
    except OSError as error:
        log.debug("cannot write %s: %s", path, _reason(error))
        return ""
    return fresh.secret


def _first_line(paths: Iterable[Path]) -> str:
    for path in paths:
        with suppress(OSError, UnicodeDecodeError):
            if line := path.read_text("ascii").partition("\n")[0].strip():
                return line
    return ""


class TopicRecord:
    """The retained topics that one printer has left at the broker, in a file.

    Without it the topics of a renamed printer or a removed heater would stay at the
    broker forever. Each file says whose it is: several bridges may share a folder, and
    none may clear what another one publishes. The reasons are in
    ``docs/adr/0013-remembered-topics.md``.

    A file that cannot be read or written is worth one warning; the bridge continues.

    Args:
        folder: created if it is missing.
        name: the printer's id.
        owner: who may read it: the configuration, and the broker it is for.

    """

    def __init__(self, folder: Path, name: str, owner: str = "") -> None:
        self._path = folder / f"{name}{_ending(owner)}"
        self._owner = owner
        self._warned = False
        self._changed = False
        self._topics = self._load()

    @property
    def topics(self) -> frozenset[str]:
        """The topics that have a value at the broker, as far as is known."""
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
        """Write the file soon if anything has changed; without topics, delete it."""
        if not self._changed:
            return
        self._changed = False
        if self._topics:
            topics = sorted(self._topics)
            document = _RetainedTopics(owner=self._owner, retained=topics)
            work = partial(_write, self._path, _text(document), 0o666)
        else:
            work = partial(self._path.unlink, missing_ok=True)
        _DISK.write(self._path, work, partial(self._warn, "write"))

    def _load(self) -> set[str]:
        try:
            document = load(self._path, _RetainedTopics)
        except FileNotFoundError:
            return set()
        except OSError as error:
            self._warn("read", error)
            return set()
        except ValueError as error:
            self._warn("read", ValueError(f"{error}{set_aside(self._path)}"))
            return set()
        if document.owner != self._owner:
            self._warn("read", ValueError("it belongs to another configuration"))
            return set()
        return set(document.retained)

    def _warn(self, verb: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "cannot %s %s (%s): retained topics that are no longer used will stay "
                "at the broker; give the bridge a folder with mqtt.state_folder",
                verb,
                self._path,
                _reason(error),
            )


def all_records(folder: Path, owner: str = "") -> dict[str, TopicRecord]:
    """Return an owner's records in a folder by printer id, with former printers."""
    ending = _ending(owner)
    _DISK.flush(FLUSH_TIMEOUT)
    try:
        names = os.listdir(folder)  # noqa: PTH208 - Path.glob hides or raises errors
    except OSError:
        names = []  # not created yet, or not accessible: saving warns about the latter
    ids = (name.removesuffix(ending) for name in names if name.endswith(ending))
    # Without an owner the ending is that of all files.
    return {
        name: TopicRecord(folder, name, owner)
        for name in sorted(ids)
        if "." not in name
    }


@contextmanager
def exclusive(folder: Path, owner: str) -> Iterator[bool]:
    """Lock an owner's files until the block ends; yield whether that was possible.

    Two containers may both call their configuration ``/config.yaml``, for example.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / f"{_digest(owner)}.lock", flags, 0o666)
    except OSError:
        yield True  # then nothing is remembered either
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _content(path: Path) -> bytes:
    """Return what is in a regular file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is something else, or too large.

    """
    if path.is_symlink():
        raise ValueError("it is a link")
    # Opening a named pipe would else wait for whoever writes to it.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    return content


def _reason(error: Exception) -> str:
    # The whole text of an OSError repeats the path.
    return getattr(error, "strerror", None) or str(error)


def _ending(owner: str) -> str:
    return f".{_digest(owner)}{RETAINED}" if owner else RETAINED


def _digest(owner: str) -> str:
    """Return what distinguishes the names of an owner's files."""
    return hashlib.sha256(owner.encode()).hexdigest()[:12]
