"""The scripts in an operator's folder."""

from collections.abc import Callable
from pathlib import Path

from bridge.config import Config
from bridge.errors import ConfigError
from bridge.validation_errors import Key, nearest

LARGEST = 65_536  # bytes of a script, the same as sandbox.SOURCE
MOST = 1000  # scripts in a folder; it may be the wrong one, such as a home folder


def check_scripts(config: Config, place: Callable[[Key], str]) -> None:
    """Check that the folders can be read, and that every script button has a script.

    Args:
        config: the configuration.
        place: says where a setting is written, such as ``config.yaml:5``.

    Raises:
        ConfigError: A folder cannot be read, or no printer has a script that
            ``home_assistant.scripts`` names.

    """
    known: set[str] = set()
    for index, printer in enumerate(config.printers):
        try:
            known |= {*printer.scripts, *read_folder(printer.scripts_folder)}
        except ConfigError as error:
            key = ("printers", index, "scripts_folder")
            raise ConfigError(f"{place(key)}: {error}") from error
    problems = [
        f"{place(('home_assistant', 'scripts', index))}: home_assistant.scripts: no "
        f'printer has a script "{name}"'
        f"{nearest(name, known) if known else '; add it to printers[0].scripts'}"
        for index, name in enumerate(config.home_assistant.scripts)
        if name not in known
    ]
    if problems:
        raise ConfigError(*problems)


def read_folder(folder: Path | None) -> dict[str, str]:
    """Return the templates in a folder by their path below it, hidden files left out.

    Raises:
        ConfigError: The folder or a file in it cannot be read, or is too large.

    """
    if folder is None:
        return {}
    try:
        paths = sorted(folder.rglob("*")) if folder.is_dir() else None
    except OSError as error:
        raise ConfigError(f"scripts_folder: {folder}: {error.strerror}") from None
    if paths is None:
        raise ConfigError(f"scripts_folder: {folder} is not a folder")
    found: dict[str, str] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in name.split("/")) or path.is_dir():
            continue
        if len(found) >= MOST:
            raise ConfigError(f"scripts_folder: {folder} has more than {MOST} files")
        found[name] = _read(path)
    return found


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"scripts_folder: {path} is larger than {LARGEST} bytes")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"scripts_folder: {path} is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"scripts_folder: {path}: {error.strerror}") from None
