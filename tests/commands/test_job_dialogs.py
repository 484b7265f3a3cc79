"""What `job` sends while the printer asks something, or waits for a person."""

import json

import pytest

from bridge.commands import Context, parse
from bridge.commands.base import Program, Question
from bridge.errors import RejectedError
from bridge.gcode.dialects import KLIPPER, MARLIN, REPRAPFIRMWARE, Dialect

PARSER = frozenset({"EMERGENCY_PARSER"})
PARKED = Question("Nozzle Parked", ("Continue",), ("Continue",), blocks=True)
PURGE = Question("Paused", ("PurgeMore", "Continue"), blocks=True)
BUTTON = Question(blocks=True)
CHOICE = Question("Load?", ("Yes", "No"), ("Yes", "No"))
KLIPPERS = Question("Load?", ("PLA", "Bad"), ("LOAD_PLA", "G1 X1\nG1 X2"))


def program(  # noqa: PLR0913 - a command, and what its printer is like
    name: str,
    question: Question | None,
    *,
    dialect: Dialect = MARLIN,
    phase: str = "paused",
    capabilities: frozenset[str] = PARSER,
    refused: frozenset[str] = frozenset(),
    **fields: object,
) -> Program:
    context = Context(
        dialect=dialect,
        phase=phase,
        capabilities=capabilities,
        question=question,
        refused=refused,
    )
    payload = json.dumps({"command": name, **fields}).encode()
    return parse("job", payload).command.program(context)


@pytest.mark.parametrize(
    ("question", "line"),
    [(PARKED, "M876 S0"), (PURGE, "M876 S1"), (BUTTON, "M108")],
)
def test_a_wait_is_ended_past_the_queue(question: Question, line: str) -> None:
    assert program("resume", question) == Program((line,), urgent=True)
    assert program("cancel", question) == Program(("M524",), release=(line,))


@pytest.mark.parametrize("name", ["resume", "cancel", "answer"])
@pytest.mark.parametrize("question", [PARKED, PURGE, BUTTON])
def test_nothing_gets_through_without_a_parser(name: str, question: Question) -> None:
    with pytest.raises(RejectedError, match="waits for a person") as refused:
        program(name, question, capabilities=frozenset())
    assert (refused.value.code, refused.value.error) == (409, "waiting_for_user")
    assert question.text in refused.value.message


@pytest.mark.parametrize("question", [None, CHOICE])
def test_other_questions_hold_nothing_up(question: Question | None) -> None:
    assert program("resume", question).lines == ("M24",)
    assert program("resume", question, phase="printing").lines == ()
    assert program("cancel", question) == Program(("M524",))
    assert program("cancel", question, phase="cancelling") == Program()


def test_an_older_way_is_taken_where_the_first_was_refused() -> None:
    older = program("cancel", None, refused=frozenset({"M524"}))
    assert older.lines == ("M25", "M26 S0")
    with pytest.raises(RejectedError, match="no safe command"):
        program("cancel", None, dialect=REPRAPFIRMWARE)


@pytest.mark.parametrize(
    ("question", "choice", "expected"),
    [
        (PARKED, 0, Program(("M876 S0",), urgent=True)),
        (PURGE, 1, Program(("M876 S1",), urgent=True)),
        (BUTTON, 0, Program(("M108",), urgent=True)),
        (CHOICE, 1, Program(("M876 S1",))),
        (None, 0, Program(("M108",))),
    ],
)
def test_a_button_is_pressed_by_its_number(
    question: Question | None, choice: int, expected: Program
) -> None:
    assert program("answer", question, choice=choice) == expected


def test_klippers_button_is_its_command() -> None:
    pressed = program("answer", KLIPPERS, dialect=KLIPPER, choice=0)
    assert pressed.lines == ("LOAD_PLA",)
    with pytest.raises(RejectedError, match='the button "Bad"'):
        program("answer", KLIPPERS, dialect=KLIPPER, choice=1)


def test_there_are_no_other_buttons() -> None:
    with pytest.raises(RejectedError, match="there are 0: Yes, 1: No"):
        program("answer", CHOICE, choice=2)


@pytest.mark.parametrize("text", ["Please look at Me", "Change the filament", "Hello"])
def test_the_text_of_a_stop_stays_what_it_is(text: str) -> None:
    payload = json.dumps({"command": f"M0 {text}"}).encode()
    context = Context(dialect=MARLIN)
    sent = parse("command", payload).command.program(context)
    assert sent.lines == (f"M0 {text}",)
