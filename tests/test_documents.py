"""The documents say what the code does."""

import json
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from bridge.cli import parser
from bridge.cli.main import COMMANDS
from bridge.commands import Response, parse
from bridge.config_file import load
from bridge.printer.published import about
from bridge.printer.published import documents as published
from tests.support.cases import case
from tests.support.documents import GENERATED, ROOT
from tests.support.markdown import (
    Block,
    blocks,
    calls,
    commands,
    documents,
    links,
    mentioned,
)

MODELS: Mapping[str, type[BaseModel]] = {
    "response": Response,
    "state": published.State,
    "temperature": published.Temperatures,
    "job/state": published.Job,
    "error": published.Error,
    "event": published.Event,
    "info": about.Info,
    "health": about.Health,
}
"""What a JSON block's label means, beside the command topics."""

COMMAND_TOPICS = (
    *(
        "head",
        "tool",
        "bed",
        "chamber",
        "sd",
        "job",
        "files",
        "queue",
        "command",
        "request",
    ),
)


def place(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_made_from_the_code_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text() == GENERATED[name](), "run scripts/documents"


@pytest.mark.parametrize("block", blocks("json"), ids=place)
def test_json_in_the_documents_is_what_the_models_take(block: Block) -> None:
    if block.label in MODELS:
        document = json.loads(block.text)
        if MODELS[block.label] is not Response and isinstance(document["time"], str):
            # Published as ISO 8601, known inside as Unix time.
            moment = datetime.fromisoformat(document["time"])
            document["time"] = moment.timestamp()
        MODELS[block.label].model_validate(document)
    elif block.label.partition("/")[0] in COMMAND_TOPICS:
        parse(block.label, block.text.encode())
    else:
        pytest.fail(f'a JSON block says what it is: "json response", not {block.label}')


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_a_row_of_a_table_is_one_line(document: Path) -> None:
    rows = [line for line in document.read_text().splitlines() if line.startswith("|")]
    assert [row for row in rows if not row.endswith("|")] == []


@pytest.mark.parametrize("block", blocks("yaml"), ids=place)
def test_yaml_in_the_documents_is_a_configuration(block: Block, tmp_path: Path) -> None:
    written = yaml.safe_load(block.text)
    if block.label:  # it is another program's
        return
    # The file is not on this machine, and the rest of a section need not be shown.
    written.get("mqtt", {}).pop("password_file", None)
    written.setdefault("printers", [{}])
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(written))
    load(file, {})


PUBLISHED = commands("mosquitto_pub")


@pytest.mark.parametrize(("where", "words"), PUBLISHED, ids=[w for w, _ in PUBLISHED])
def test_what_the_documents_publish_is_a_command(where: str, words: list[str]) -> None:
    topic = words[words.index("-t") + 1]
    payload = words[words.index("-m") + 1] if "-m" in words else ""
    base, _, rest = topic.removeprefix("printers/").partition("/")
    assert base, where
    parse(rest, payload.encode())


CALLED = commands("gcode2mqtt")


@pytest.mark.parametrize(("where", "words"), CALLED, ids=[w for w, _ in CALLED])
def test_what_the_documents_type_can_be_typed(where: str, words: list[str]) -> None:
    if words == ["--help"]:
        return
    chosen = parser.build().parse_args([w for w in words if w not in {">", "&"}])
    assert chosen.command, where


TESTED = {"gcode2mqtt", "mosquitto_pub", "mosquitto_sub", "scripts/demo"}
"""What tests run: here, in ``test_readme.py`` and in ``tests/scripts``."""


def test_a_command_in_a_document_is_tested_or_marked() -> None:
    """A block with other programs is marked: its fence begins with ``sh not run``."""
    for block in blocks("sh"):
        programs = {words[0] for words in calls(block)}
        marked = block.label == "not run"
        assert marked or not block.label, block.place
        assert bool(programs - TESTED) is marked, block.place
        for script in filter(lambda name: name.startswith("scripts/"), programs):
            assert os.access(ROOT / script, os.X_OK), block.place


def test_what_the_text_mentions_can_be_typed() -> None:
    """Such as `gcode2mqtt ports` in a sentence; other programs are only named."""
    found = list(mentioned())
    assert len({place.partition(":")[0] for place, _ in found}) >= 10
    for place, words in found:
        program, *arguments = words
        with case(place):
            if program.startswith("scripts/"):
                assert os.access(ROOT / program, os.X_OK)
            elif program == "mosquitto_pub":
                topic = arguments[arguments.index("-t") + 1].removeprefix("printer/")
                parse(topic, arguments[arguments.index("-m") + 1].encode())
            elif len(arguments) == 1:  # a subcommand by its name
                assert arguments[0] in {*COMMANDS, "--help", "--version"}
            elif "COMMAND" not in arguments:
                assert parser.build().parse_args(arguments).command


LANGUAGES = {"sh", "json", "yaml", "text", "mermaid", "jinja", "xml"}
PROMPT = re.compile(
    r"^ *(?:[$#>] )?(?:sudo |gcode2mqtt |mosquitto_|scripts/|pip |apt-get |docker )",
    re.MULTILINE,
)


def test_no_command_hides_in_another_kind_of_block() -> None:
    """Only blocks of shell commands are looked at, so commands stand nowhere else."""
    for document in documents():
        text = document.read_text()
        opened = re.findall(r"^```(.*)$", text, re.MULTILINE)[::2]
        for fence in opened:
            assert fence.split(" ")[0] in LANGUAGES, (document.name, fence)
    for language in ("text", "yaml"):
        for block in blocks(language):
            assert not PROMPT.search(block.text), block.place


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in links(path):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_readme_has_ten_examples() -> None:
    shown = [words for where, words in PUBLISHED if where.startswith("README.md")]
    assert len(shown) >= 9
    assert any(where.startswith("README.md") for where, _ in commands("mosquitto_sub"))


MODULES = re.findall(r"[\w/]+\.py", (ROOT / "docs/architecture.md").read_text())


@pytest.mark.parametrize("module", sorted(set(MODULES)))
def test_the_architecture_names_modules_that_exist(module: str) -> None:
    folder = ROOT if module.startswith("tests/") else ROOT / "bridge"
    assert (folder / module).is_file()


def test_every_part_is_in_the_architecture() -> None:
    described = (ROOT / "docs/architecture.md").read_text()
    parts = {path.name for path in (ROOT / "bridge").glob("[!_]*/")}
    parts |= {path.name for path in (ROOT / "bridge").glob("[!_]*.py")}
    assert {part for part in parts if f"`{part}`" not in described} == set()
