import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config_file.document import parse
from bridge.errors import ConfigError


def test_every_value_has_a_place() -> None:
    document = parse("a:\n  - b: 1\n    c: ~\n  - 2\n", "file")
    assert document.value == {"a": [{"b": "1", "c": None}, "2"]}
    assert document.places == {
        (): "file",
        ("a",): "file:1",
        ("a", 0): "file:2",
        ("a", 0, "b"): "file:2",
        ("a", 0, "c"): "file:3",
        ("a", 1): "file:4",
    }
    assert document.place(("a", 0, "x", "y")) == "file:2"


def test_nothing_is_written_in_an_empty_file() -> None:
    assert parse("# only a comment\n", "file").value is None


def test_what_is_written_at_the_place_wins_over_what_is_merged() -> None:
    text = "base: &b {x: 1, y: 1}\nmore: &m {<<: *b, y: 2}\nend: {<<: [*m], x: 3}"
    value = parse(text, "file").value
    assert isinstance(value, dict)
    assert value["more"] == {"x": "1", "y": "2"}
    assert value["end"] == {"x": "3", "y": "2"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "file:1: this is not YAML: expected the node content"),
        ("a: 1\n\tb: 2", "file:2: the line begins with a tab"),
        ("a: *b", "file:1: a text must not begin with *; put"),
        ("a: 1\n---\nb: 2", "file:2: --- begins a second document"),
        ("a: \x00", "file:1: there is a control character (code 0)"),
        ("a: 1\na: 2", "file:2: the key a is already given at file:1"),
        ("? [a]\n: b", "file:1: the name of a setting must be a text"),
        ("a: !!python/name:os.system x", "file:1: a text must not begin with !; put"),
        ("a: !secrets x", "file:1: a text must not begin with !; put"),
        ("a: !!binary aGk=", "file:1: a text must not begin with !; put"),
        ("a: {<<: 7}", "file:1: << needs a section"),
        ("a: &a {<<: *a}", "file:1: nested too deeply"),
        ("a: &a [*a]", "file:1: too many or too deeply nested values"),
        ("[" * 30 + "]" * 30, "file:1: too many or too deeply nested values"),
        ("[" * 5000, "file: nested too deeply"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "file")
    assert str(caught.value).startswith(problem)


def test_aliases_that_multiply_are_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 12):
        nine = ", ".join([f"*a{n - 1}"] * 9)
        bomb += f"a{n}: &a{n} [{nine}]\n"
    with pytest.raises(ConfigError, match="do aliases multiply"):
        parse(bomb, "file")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        parse(text, "file")
    except ConfigError as error:
        assert str(error).startswith("file")  # noqa: PT017  # both ends are fine


def bomb(levels: int, width: int, merge: str) -> str:
    """Return mappings of which each refers several times to the one before."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels):
        parts = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} {merge.format(parts)}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "merge", ["{{<<: [{}]}}", "{{<<: [{}], x: 2}}", "[{}]", "{{y: [{}]}}"]
)
@pytest.mark.parametrize(("levels", "width"), [(15, 9), (10, 30), (19, 4)])
def test_aliases_that_multiply_end_within_the_budget(
    merge: str, levels: int, width: int
) -> None:
    """Whatever they are merged or nested into, 100,000 steps are the most."""
    begun = time.process_time()
    with pytest.raises(ConfigError, match="do aliases multiply"):
        parse(bomb(levels, width, merge), "file")
    assert time.process_time() - begun < 30, "billions of steps would take hours"


def test_a_configuration_may_merge_what_it_needs() -> None:
    shared = "base: &b {" + ", ".join(f"k{n}: {n}" for n in range(50)) + "}\n"
    text = shared + "\n".join(f"p{n}: {{<<: *b, k1: {n}}}" for n in range(300))
    value = parse(text, "file").value
    assert isinstance(value, dict)
    assert len(value) == 301
