"""The settings of the HTTP server for slicers."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app.supervisor import Supervisor
from bridge.app.upload_service import (
    UploadService,
    examine,
    keys_file,
    prepared_keys,
    tls_context,
    urls,
)
from bridge.config import Config, ServerTls
from bridge.errors import ConfigError
from tests.support.certificates import authority, stranger
from tests.support.ports import held_port
from tests.support.uploads import Client, get

KEY = "0123456789abcdef"


def configured(folder: Path, **upload: object) -> Config:
    return Config.model_validate(
        {
            "mqtt": {"state_folder": str(folder / "state")},
            "upload": upload,
            "printers": [{"id": "left", "serial": {"port": "simulator://marlin"}}],
        }
    )


def said(config: Config) -> list[tuple[str, str]]:
    return [(finding.verdict, finding.text) for finding in examine(config)]


@pytest.mark.parametrize(
    ("given", "enabled"),
    [
        ("true", True), (True, True), ("no", False), ({}, False),
        ({"listen": "0.0.0.0:80"}, True), ({"enabled": "false", "hosts": []}, False),
    ],
)  # fmt: skip
def test_one_line_turns_it_on(given: object, *, enabled: bool) -> None:
    config = Config.model_validate({"printers": [{}], "upload": given})
    assert config.upload.enabled is enabled


@pytest.mark.parametrize(
    "listen", ["5000", "http://pi:5000", "::1", "pi:0", "pi:x", ""]
)
def test_an_address_that_cannot_be_listened_on(listen: str) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:5000"):
        Config.model_validate({"printers": [{}], "upload": {"listen": listen}})


def test_a_key_is_made_that_only_we_can_read(tmp_path: Path) -> None:
    config = configured(tmp_path, enabled=True)
    file = keys_file(config)
    assert file == tmp_path / "state/upload-keys"
    keys = prepared_keys(file)
    assert file.stat().st_mode & 0o777 == 0o600
    (key,) = keys.everywhere
    assert len(key) == 32
    assert prepared_keys(file) == keys


def test_a_file_of_keys_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    for content, why in (
        (b"", "no key"),
        (b"a\n", "16 characters"),
        (b"\xff", "UTF-8"),
    ):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=why) as raised:
            prepared_keys(file)
        assert str(file) in str(raised.value)
    with pytest.raises(ConfigError, match="directory"):
        prepared_keys(tmp_path)
    with pytest.raises(ConfigError, match="File exists"):
        prepared_keys(file / "keys")


def test_what_the_doctor_says(tmp_path: Path) -> None:
    assert said(configured(tmp_path)) == []
    config = configured(tmp_path, enabled=True)
    (tmp_path / "state").mkdir()
    file = keys_file(config)
    made, local = said(config)
    assert made == ("note", f"{file} will be made with a random key")
    assert "upload.listen: 0.0.0.0:5000" in local[1]
    file.write_text(f"{KEY}\nright: {KEY}\n")
    file.chmod(0o644)
    text = str(said(config))
    assert "chmod 600" in text
    assert "a key for right" in text
    assert KEY not in text
    file.write_text("short\n")
    assert said(config)[0][0] == "wrong"
    tls = configured(tmp_path, listen="0.0.0.0:80", tls={"enabled": True})
    assert [verdict for verdict, _ in said(tls)] == ["wrong", "wrong", "ok"]
    assert urls(tls)[0] == f"https://{os.uname().nodename}:80/left"
    assert urls(configured(tmp_path, listen="[::1]"))[0] == "http://[::1]:5000/left"
    folder = configured(tmp_path, keys_file=str(tmp_path))
    assert said(folder)[0] == ("wrong", f"{tmp_path}: Is a directory")


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    pair = authority().issue("localhost")
    other = stranger().issue("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with pytest.raises(ConfigError, match=r"key\.pem: No such file"):
        tls_context(ServerTls(enabled=True, cert_file=cert, key_file=key))
    cert.write_bytes(pair.certificate)
    for wrong in (b"", other.key, b"\xff\n"):
        key.write_bytes(wrong)
        with pytest.raises(ConfigError, match="belong together"):
            tls_context(ServerTls(enabled=True, cert_file=cert, key_file=key))
    key.write_bytes(pair.key)
    tls_context(ServerTls(enabled=True, cert_file=cert, key_file=key))


@pytest.fixture
def port() -> Iterator[int]:
    with held_port() as held:
        yield held


async def asked(port: int, key: str, tls: ssl.SSLContext | None = None) -> int:
    """Return the status of an answer."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=tls)
    client = Client(reader, writer)
    try:
        await client.send(get("/left/api/version", key=key))
        return (await client.reply()).status
    finally:
        await client.close()


async def test_it_listens_with_tls_and_stops(tmp_path: Path, port: int) -> None:
    pair = authority().issue("localhost")
    (tmp_path / "pair.pem").write_bytes(pair.key + pair.certificate)
    (tmp_path / "ca.pem").write_bytes(authority().certificate)
    config = configured(
        tmp_path,
        listen=f"127.0.0.1:{port}",
        tls={"enabled": True, "cert_file": str(tmp_path / "pair.pem")},
    )
    trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    service = UploadService(Supervisor(config))
    await service.apply(config)
    try:
        (key,) = prepared_keys(keys_file(config)).everywhere
        assert await asked(port, key, trusting) == 404  # it serves no printer
        assert await asked(port, "wrong", trusting) == 403
        with pytest.raises(ssl.SSLError):
            await asked(port, key, ssl.create_default_context())
        await service.apply(configured(tmp_path, enabled=False))
        with pytest.raises(OSError, match="Connect call failed"):
            await asked(port, key, trusting)
    finally:
        await service.close()


async def test_other_keys_do_not_disconnect_anybody(tmp_path: Path, port: int) -> None:
    config = configured(tmp_path, listen=f"127.0.0.1:{port}")
    service = UploadService(Supervisor(config))
    await service.apply(config)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = Client(reader, writer)
        await client.send(get("/left/api/version", key=KEY))
        assert (await client.reply()).status == 403
        keys_file(config).write_text(f"{KEY}\n")
        await service.apply(config)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        other = Client(reader, writer)
        await other.send(get("/left/api/version", key=KEY) * 2)
        assert (await other.reply()).status == 404
        keys_file(config).write_text(f"{KEY[::-1]}\n")
        await service.apply(config)
        await other.send(get("/left/api/version", key=KEY))
        assert (await other.reply()).status == 404
        assert (await other.reply()).status == 403
        for one in (client, other):
            await one.close()
    finally:
        await service.close()


async def test_a_port_that_is_in_use_is_only_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = configured(tmp_path, listen=f"127.0.0.1:{port}")
        service = UploadService(Supervisor(config))
        await service.apply(config)
        await service.close()
    assert "slicers cannot upload" in caplog.text
    assert "in use" in caplog.text
