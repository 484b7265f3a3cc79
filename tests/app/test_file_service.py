"""The files of all printers: what a reload of the configuration does to them."""

from pathlib import Path
from typing import Any

from bridge.app.file_service import FileService
from bridge.config import Config
from tests.support.leaks import nothing_left_behind
from tests.support.waiting import until


def config_of(*printers: str, **settings: Any) -> Config:  # noqa: ANN401 - of any kind
    return Config.model_validate(
        {
            "files": {"keep_free": 0},
            "printers": [
                {"id": name, "serial": {"port": f"/dev/{name}"}, **settings}
                for name in printers
            ],
        }
    )


async def test_other_limits_hold_for_the_files_of_a_printer_that_is_off(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "files/left"
    folder.mkdir(parents=True)
    folder.joinpath("hot.gcode").write_text("M104 S200\n")
    service = FileService()
    try:
        await service.apply(config_of("left"), tmp_path)
        library = service.libraries["left"]
        await until(lambda: bool(library.list()) and not library.checking)
        assert library.get("hot.gcode").report.printable
        cold = {"profile": {"max_temperature": {"tool": 150}}}
        await service.apply(config_of("left", **cold), tmp_path)
        assert service.libraries["left"] is library
        assert not (await library.checked("hot.gcode")).report.printable
        firmware = {"serial": {"port": "/dev/left", "firmware": "klipper"}}
        await service.apply(config_of("left", **firmware), tmp_path)
        assert library.family == "klipper"
        assert (await library.checked("hot.gcode")).report.printable
    finally:
        await service.close()


async def test_a_printer_may_go_before_its_files_were_listed(tmp_path: Path) -> None:
    folder = tmp_path / "files/left"
    folder.mkdir(parents=True)
    folder.joinpath("a.gcode").write_text("G28\n")
    with nothing_left_behind():
        service = FileService()
        await service.apply(config_of("left", "right"), tmp_path)
        gone, said = service.libraries["left"], list[str]()
        gone.on_change = lambda: said.append("changed")
        await service.apply(config_of("right"), tmp_path)
        assert list(service.libraries) == ["right"]
        await service.close()
        assert not service.libraries
        assert said == [], "nobody reads its files any more"
