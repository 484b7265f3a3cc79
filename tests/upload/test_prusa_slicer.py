"""The real PrusaSlicer, on a screen that nobody sees, sends to the real server."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.uploads import KEY, serving
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.prusa_slicer

PROGRAMS = ("prusa-slicer", "Xvfb", "openbox", "xdotool")

DIALOGS = {
    "Switching language failed": ("272", "124"),
    "^Send system info": ("394", "486"),
}
"""What it says at its first start, each with the place of the button that does nothing
else: that a locale is missing, and whether it may report about the computer."""

SETTINGS = """\
version_check = 0
preset_update = 0
notify_release = none
show_splash_screen = 0
show_hints = 0
view_mode = expert
background_processing = 1

[presets]
filament = - default FFF material -
physical_printer = Ender * Plain
print = - default FFF print -
printer = Plain
"""
PRINTER = """\
printer_technology = FFF
gcode_flavor = marlin
bed_shape = 0x0,200x0,200x200,0x200
nozzle_diameter = 0.4
start_gcode = G28
end_gcode = M84
"""
PHYSICAL_PRINTER = """\
host_type = octoprint
preset_names = "Plain"
print_host = http://127.0.0.1:{port}/left/
printer_technology = FFF
printhost_apikey = {key}
printhost_authorization_type = key
"""


def write_model(file: Path) -> None:
    """Write a cube of 10 mm as STL."""
    corners = [(x, y, z) for x in (0, 10) for y in (0, 10) for z in (0, 10)]
    faces = [
        (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
        (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
    ]  # fmt: skip
    with file.open("w") as stream:
        stream.write("solid cube\n")
        for face in faces:
            stream.write("facet normal 0 0 0\nouter loop\n")
            for x, y, z in (corners[corner] for corner in face):
                stream.write(f"vertex {x} {y} {z}\n")
            stream.write("endloop\nendfacet\n")
        stream.write("endsolid cube\n")


def write_settings(folder: Path, port: int, key: str) -> None:
    """Write what somebody enters as a physical printer."""
    for name in ("printer", "print", "filament", "physical_printer"):
        (folder / name).mkdir(parents=True)
    (folder / "PrusaSlicer.ini").write_text(SETTINGS)
    (folder / "printer/Plain.ini").write_text(PRINTER)
    physical = PHYSICAL_PRINTER.format(port=port, key=key)
    (folder / "physical_printer/Ender.ini").write_text(physical)


@asynccontextmanager
async def program(
    *command: str | Path, environ: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program while the block lasts."""
    running = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


class Screen:
    """What a person does with the mouse and the keyboard."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {**os.environ, **environ}

    async def does(self, *arguments: str) -> list[str]:
        """Run xdotool, and return what it says."""
        done = await asyncio.create_subprocess_exec(
            "xdotool",
            *arguments,
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        said, _ = await done.communicate()
        return said.decode().split()

    async def finds(self, title: str) -> str | None:
        """Return a visible window."""
        found = await self.does("search", "--onlyvisible", "--name", title)
        return found[-1] if found else None

    async def dismisses(self) -> None:
        """Close what it asks at its first start, and other messages."""
        for title, where in DIALOGS.items():
            if (window := await self.finds(title)) is not None:
                await self.does("windowactivate", window)
                await self.does("mousemove", "--window", window, *where, "click", "1")

    async def sends(self, *keys: str) -> None:
        """Open the dialog for sending to the printer, and press keys in it."""
        async with asyncio.timeout(3 * DEADLINE):
            while await self.finds("^Send G-Code") is None:
                await self.dismisses()
                if (main := await self.finds("^PrusaSlicer-")) is not None:
                    await self.does("windowactivate", main)
                    await self.does("key", "--clearmodifiers", "ctrl+shift+g")
                await asyncio.sleep(2)
        await self.does("key", *keys)


@asynccontextmanager
async def prusa_slicer(folder: Path, port: int, key: str) -> AsyncIterator[Screen]:
    """Run PrusaSlicer with a cube and a printer at this port."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    write_settings(folder / "data", port, key)
    write_model(folder / "cube.stl")
    environ = {
        "DISPLAY": f":{os.getpid() % 10_000 + 100}",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "LANG": "en_US.UTF-8",
        "HOME": str(folder),
    }
    data = ("--datadir", folder / "data")
    async with (
        program("Xvfb", environ["DISPLAY"], "-screen", "0", "1280x900x24", environ={}),
        program("openbox", environ=environ),
        program("prusa-slicer", *data, folder / "cube.stl", environ=environ),
    ):
        yield Screen(environ)


async def test_prusaslicer_uploads_and_prints(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "files") as served,
        prusa_slicer(tmp_path, served.port, KEY) as screen,
    ):
        await screen.sends("Tab", "space")
        await arrived(served.left.submitted, 1)
        await screen.sends("Tab", "Tab", "space")
        await arrived(served.left.submitted, 2)
        assert served.left.submitted == [
            ("cube.gcode", False, "upload"),
            ("cube.gcode", True, "upload"),
        ]
        (file,) = served.left.store.list()
        assert (file.metadata.slicer or "").startswith("PrusaSlicer")
        assert file.report.printable


async def arrived(submitted: list[tuple[str, bool, str]], count: int) -> None:
    async with asyncio.timeout(3 * DEADLINE):
        while len(submitted) < count:  # noqa: ASYNC110 - what is waited for knows no Event
            await asyncio.sleep(0.1)
