"""Scripts: what a template may print, and how every bad one ends."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import commands
from bridge.commands import Context, Program
from bridge.commands.raw import script_lines
from bridge.commands.scripts import Scripts, printer_profile
from bridge.config import Profile
from bridge.errors import RejectedError


def render(template: str, **variables: object) -> list[str]:
    return list(Scripts({"test": template}).render("test", variables))


def wrong(template: str, **variables: object) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        render(template, **variables)
    assert (caught.value.code, caught.value.error) == (400, "script_error")
    assert caught.value.message.startswith("script test")
    return caught.value


def run(payload: dict[str, Any], templates: dict[str, str]) -> Program:
    request = commands.parse("command", json.dumps(payload).encode())
    return request.command.program(Context(scripts=Scripts(templates)))


SUM = """{% set ns = namespace(n=0) %}
{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}
P{{ ns.n }}"""


@pytest.mark.parametrize(
    ("template", "lines"),
    [
        ("G28 ; home\n\n  ; nothing\n\tM106", ["G28 ; home", "M106"]),
        ("M104 S{{ parameters.t }}", ["M104 S205.5"]),
        ("M104 S{{ parameters['t'] }}", ["M104 S205.5"]),
        (
            "M104 {% if parameters.t > 0 %}S1{% endif %}\nM140 S0",
            ["M104 S1", "M140 S0"],
        ),
        ("{% for n in range(2) %}\nT{{ n }}\n{% endfor %}", ["T0", "T1"]),
        ("{% for n in 'xy' %}{{ loop.index }}{{ n }}{% endfor %}", ["1x2y"]),
        ("G1 F{{ 1e-5 }} X{{ 0.1 + 0.2 }} Y{{ 10.0 }}", ["G1 F0.00001 X0.3 Y10"]),
        ("{{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 3 }} {{ 3 * 'a' }}", ["3 3 8 aaa"]),
        ("{{ 'a' ~ 1 ~ 2.50 }} {{ 'b' + 'c' }}", ["a12.5 bc"]),
        ("{{ '%.2f'|format(1.239) }} {{ '%s-%03d' % ('a', 3) }}", ["1.24 a-003"]),
        ("{{ '%(a)s %%' % {'a': 1} }} {{ '%d' % 7 }}", ["1 % 7"]),
        ("{{ 1.256|round(2) }} {{ 7|round }} {{ [1, 2]|sum }}", ["1.26 7 3"]),
        ("{{ 'a-b'|replace('-', '+') }} {{ [3, 1]|sort|join(' ') }}", ["a+b 1 3"]),
        ("{{ range(3)|map('string')|join(',') }}", ["0,1,2"]),
        ("{{ 'ab'.upper() }} {{ 'a b'.split(' ')|length }}", ["AB 2"]),
        ("{% for k, v in {'X': 1}.items() %}{{ k }}{{ v }}{% endfor %}", ["X1"]),
        ("{{ none_such|default(5) }}{{ 1 if none_such }}", ["5"]),
        (
            "{% if none_such %}a{% elif none_such is defined %}b{% else %}c{% endif %}",
            ["c"],
        ),
        ("{% set t %}G28\nM106{% endset %}{{ t }}", ["G28", "M106"]),
        ("{% set t | upper %}g28{% endset %}{{ t }}", ["G28"]),
        ("{% macro f(n) %}T{{ n }}\n{% endmacro %}{{ f(0) }}{{ f(1) }}", ["T0", "T1"]),
        ("{% block b %}G28{% endblock %} {{ self.b() }}", ["G28 G28"]),
        ("{% filter upper %}g28{% endfilter %}", ["G28"]),
        (SUM, ["P10"]),
        ("{{ script.type }} {{ script.name }}", ["gcode test"]),
        (
            "{% if 'b' in parameters.l %}y{% endif %}",
            ["y"],
        ),
        ("", []),
    ],
)
def test_what_a_template_prints(template: str, lines: list[str]) -> None:
    assert render(template, parameters={"t": 205.5, "l": ("a", "b")}) == lines


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("G28\nM104 S{{ parameters.hot }}", "line 2: there is no 'hot'"),
        ("{{ hot }}", "line 1: 'hot' is undefined"),
        ("{{ hot.x }}", "line 1: 'hot' is undefined"),
        ("{% if hot == 1 %}{% endif %}", "'hot' is undefined"),
        ("\n\n{{ 1 / 0 }}", "line 3: division by zero"),
        ("{{ 1 + 'a' }}", "unsupported operand"),
        ("{{ 'é' * 1 ", "line 1: unexpected end of template"),
        ("{% if %}", "line 1: Expected an expression"),
        ("{{ [1][5] }}", "has no element 5"),
        ("{{ 'a' | nope }}", "No filter named 'nope'"),
        (
            "{{ '%s'|format(a=1) }}",
            "line 1: the filter format: got an unexpected keyword argument 'a'",
        ),
        (
            "{{ 'a'|replace('b') }}",
            "the filter replace: missing 1 required positional argument: 'new'",
        ),
        ("{{ [1]|sum('x') }}", "the filter sum: takes 1 positional argument but 2 "),
        ("{{ 'a'|upper(1) }}", "the filter upper: takes 1 positional argument but 2 "),
        ("{{ 'a'|abs }}", "line 1: the filter abs: bad operand type"),
        ("{{ 'a'.split('') }}", "empty separator"),
        ("X{{ none }}", "a value that is not known"),
        ("X{{ true }}", "prints true"),
        ("X{{ [1] }}", "prints a list"),
        ("X{{ parameters }}", "prints an object"),
        ("X{{ range(2) }}", "prints a range"),
        ("X{{ 1e308 * 10 }}", "prints Infinity"),
        ("X{{ 1e999 }}", "a number is too large"),
        ("X{{ '%s' % [1] }}", "prints a list"),
        ("X{{ '%s %s' % (1, none) }}", "not known"),
        ("M117 {{ 'a\nM112' }}", "prints a line break"),
        ("M117 {{ 'a' ~ '\n' }}", "prints a line break"),
        ("M117 {{ '\x00' }}", "prints a line break"),
        ("{% snippet 'nope' %}", 'line 1: there is no template "snippets/nope"'),
        ("{% include 'nope' %}", 'there is no template "nope"'),
        ("{% import 'test' as t %}", "import is not available"),
        ("{% from 'test' import t %}", "fromimport is not available"),
        ("{% extends 'test' %}", "extends is not available"),
        ("{% call f() %}{% endcall %}", "'f' is undefined"),
    ],
)
def test_an_error_names_script_and_line(template: str, message: str) -> None:
    assert message in wrong(template, parameters={}).message


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ parameters.__class__.__mro__ }}",
        "{{ parameters['__class__'] }}",
        "{{ parameters.pop('t') }}",
        "{{ [1]|map(attribute='__class__')|first }}",
        "{{ [1].append(2) }}",
        "{{ range.__class__ }}",
        "{{ namespace.__init__ }}",
        "{% set n = namespace(a=1) %}{{ n.__class__ }}",
        "{{ self.__init__ }}",
        "{% for a in 'a' %}{{ loop.__class__ }}{% endfor %}",
        "{% macro f() %}{% endmacro %}{{ f._func }}",
        "{{ 'a'.format(1) }}",
        "{{ ''|attr('__class__') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ 'a'.format.__self__ }}",
        "{{ parameters.items.__self__ }}",
        "{{ ['']|map(attribute='__class__.__mro__')|list|first }}",
        "{{ {'a': ''}|dictsort(by='value')|map(attribute='1.__class__')|first }}",
        "{{ ['']|selectattr('__class__')|first }}",
        "{{ ['']|sort(attribute='__class__')|first }}{{ namespace.__class__ }}",
        "{{ x.__init__.__globals__ }}",
        "{{ range(1).__iter__ }}",
        "{% macro f() %}{{ caller._func }}{% endmacro %}{% call f() %}{% endcall %}",
        "{{ self._TemplateReference__context }}",
        "{% set n = namespace() %}{% set n.__class__ = 1 %}{{ n.__class__ }}",
        "{{ ''['__cl' ~ 'ass__'] }}",
        "{{ ''.\uff46ormat }}",  # looks like an f
    ],
)
def test_no_way_into_python(template: str) -> None:
    message = wrong(template, parameters={"t": 1}).message
    assert any(word in message for word in ("unsafe", "undefined", "No f", "no "))


GROW = "{% set x = [1, 2, 3, 4] %}"
ENDLESS = [
    "{% for i in range(10 ** 9) %}{% endfor %}",
    "{% for i in range(10 ** 30) %}{% endfor %}",
    "{% for i in range(900) %}{% for j in range(900) %}{% endfor %}{% endfor %}",
    "{% for i in range(900) %}" + "a" * 1000 + "{% endfor %}",
    "{% for i in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% endmacro %}{% for i in range(900) %}{{ f() }}{% endfor %}",
    "{% snippet 'self' %}",
    "{% include 'test' %}{% include 'test' %}",
    "{{ 'a' * 10 ** 9 }}",
    "{{ 10 ** 9 * 'a' }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ 9 ** 90000000 }}",
    "{% set x = 9 %}" + "{% set x = x * x %}" * 40,
    "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 40,
    "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x + x %}" * 40,
    "{% set x %}aaaaaaaaaa{% endset %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
    GROW + "{% set x = [x, x, x, x] %}" * 40,
    GROW + "{% set x = (x, x, x, x) %}" * 40,
    GROW + "{% set x = {'a': x, 'b': x} %}" * 40,
    GROW + "{% set x = x + x %}" * 40,
    "{{ ('a' * 9000)|replace('a', 'b' * 9000) }}",
    "{{ (['a' * 9000] * 40)|join('b' * 9000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%.1000000000f'|format(1) }}",
    "{{ '%((a))1000000000d' % {'(a)': 1} }}",
    "{{ 'x'.ljust(1000000000) }}",
    "{{ 1.5|round(1000000000) }}",
    "{{ 5|round(-1000000000) }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ 1 " + "+ 1" * 5000 + " }}",
    "{% for i in 'a' %}" * 25 + "{% endfor %}" * 25,
    "a" * 70_000,
    "{{ lipsum(n=1000000) }}",
    "{% for i in range(1001) %}G28\n{% endfor %}",
    "G28\n" * 10_000,
    # Jinja2's own filters and globals that grow without end are not there.
    "{{ 'x'|center(1000000000) }}",
    "{{ 'x\ny'|indent(1000000000) }}",
    "{{ ('x' * 9000)|wordwrap(1) }}",
    "{{ range(5000)|list|tojson(indent=1000000) }}",
    "{{ range(5000)|list|pprint }}",
    "{{ range(10 ** 9)|batch(10 ** 9, 'x')|list }}",
    "{{ range(5)|slice(10 ** 9)|list }}",
    "{{ [{'a': 1}]|groupby('a') }}",
    "{{ 'x'|urlize }}{{ {}|xmlattr }}",
    "{{ cycler('a', 'b').next() }}",
    "{{ joiner(', ')() }}",
    "{{ dict(a=1) }}",
    # Sizes that a parameter could give.
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:1000000000}'.format_map({}) }}",
    "{{ 'a'.zfill(1000000000) }}{{ 'a\tb'.expandtabs(1000000000) }}",
    "{{ (5).to_bytes(1000000000, 'big') }}",
    "{{ ('a' * 9000).encode() }}{{ ','.join(['a' * 9000] * 5000) }}",
    "{{ range(int(10 ** 9)) }}",
    "{{ range('1000000000'|int)|list|length }}",
    "{{ range(5000)|sort|reverse|list|sort|map('string')|join('é' * 9000) }}",
    "{% for i in range(5000) %}{{ range(5000)|sort|first }}{% endfor %}",
    "{% for i in range(5000) %}{% if range(5000)|list == [] %}{% endif %}{% endfor %}",
    "{% for i in range(5000) %}{{ 1 if 7 is in range(5000) }}{% endfor %}",
    "{% for i in range(5000) if 7 in range(5000) %}{% endfor %}",
    "{% for i in range(900) %}{% set _ = loop.changed(range(5000)|list) %}{% endfor %}",
    "{% for a in range(9) %}" * 12 + "{% endfor %}" * 12,
    # A value that is exponentially large, and what would walk through it.
    GROW
    + "{% set y = [1, 2, 3, 4] %}"
    + "{% set x = [x, x] %}{% set y = [y, y] %}" * 40
    + "{% if x == y %}{% endif %}",
    "{% set x = (1, 2) %}" + "{% set x = (x, x) %}" * 40 + "{% set d = {x: 1} %}",
    (
        "{% set n = namespace(x=[]) %}"
        "{% for i in range(900) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
    ),
    (
        "{% set n = namespace(x='aaaa') %}"
        "{% for i in range(900) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
    ),
    # Macros, callers, blocks and inclusions that multiply.
    "{% macro f(n) %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call f(1) %}" * 12
    + "x"
    + "{% endcall %}" * 12,
    "{% macro f() %}"
    + "a" * 60_000
    + "{% endmacro %}{% set x %}"
    + "{{ f() }}" * 4
    + "{% endset %}{{ x }}{{ x }}",
    "{% block b %}{{ self.b() }}{{ self.b() }}{% endblock %}",
    "{% set x %}{% for i in range(5000) %}" + "a" * 9000 + "{% endfor %}{% endset %}",
    "{% for i in range(900) %}{% include 'snippets/small' %}{% endfor %}",
    "{% filter upper %}{% for i in range(900) %}"
    + "a" * 900
    + "{% endfor %}{% endfilter %}",
    "{% autoescape true %}{{ '<' * 9000 }}{% endautoescape %}" * 30,
    # The filters that count steps are not filters for a template, not even by name.
    (
        "{% for a in [[1]]|map('.rounds', -1000000000)|first %}"
        "{% for b in range(4000) %}{% for c in range(4000) %}"
        "{% endfor %}{% endfor %}{% endfor %}"
    ),
    "{{ [[1]]|map('.weighed')|list|length }}",
    "{{ ['G28\nM104 S999']|map('.rendered')|first }}",
    # What macros and blocks print counts, also where it is thrown away.
    "{% macro m() %}" + "a" * 60_000 + "{% endmacro %}" + "{% set x = m() %}" * 400,
    "{% block b %}" + "a" * 60_000 + "{% endblock %}" + "{% set x = self.b() %}" * 400,
    "{% set x %}" + "a" * 60_000 + "{% endset %}{{ x }}{{ x }}{{ x }}{{ x }}",
    # Inclusions by a list of names cost what those by one name cost.
    "{% for i in range(900) %}{% include ['snippets/small'] %}{% endfor %}",
    "{% for i in range(900) %}{% include ['none', 'snippets/small'] %}{% endfor %}",
    # A view of an object is as large as the object.
    "{% for i in range(4000) %}{{ parameters.d.values()|max }}{% endfor %}",
    "{% for i in range(4000) %}{{ parameters.d.keys()|list|length }}{% endfor %}",
    "{% for i in range(4000) %}{{ 1 if 7 in parameters.d.items() }}{% endfor %}",
    # What takes long before it is executed at all.
    "{{ " + "1 < " * 16_000 + "1 }}",
    "{% if a %}" + "{% elif a %}" * 6_000 + "{% endif %}",
    "".join(f"{{% set a{number} = 1 %}}" for number in range(3_500)),
    "{% macro m() %}{% endmacro %}{{ m(" + "a, " * 16_000 + "1) }}",
    # Chains and rings of values that are one inside the other.
    (
        "{% set n = namespace(x=[1]) %}{% for i in range(4000) %}"
        "{% set n.x = n.x|map('abs') %}{% endfor %}{{ n.x|first }}"
    ),
    (
        "{% set n = namespace(x=[1]) %}{% for i in range(4000) %}"
        "{% set n.x = n.x|reverse|select %}{% endfor %}{{ n.x|list }}"
    ),
    "{% set n = namespace() %}{% set n.x = n %}{{ [n]|string }}{{ n.x.x.x }}",
    (
        "{% macro m() %}{{ caller() }}{% endmacro %}"
        "{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}"
    ),
    # Numbers that a text makes.
    "{{ ('1' * 10000)|int(0, 2) }}",
    "{{ '1e999'|float|int }}",
    "{{ 0x" + "f" * 60_000 + " }}",
    "{{ range(10 ** 15)[10 ** 14:]|list }}",
]


@pytest.mark.parametrize("template", ENDLESS, ids=range(len(ENDLESS)))
def test_every_template_ends(template: str) -> None:
    scripts = Scripts(
        {
            "test": template,
            "snippets/self": "{% snippet 'self' %}" * 2,
            "snippets/small": "G28",
        }
    )
    with pytest.raises(RejectedError) as caught:
        scripts.render("test", {"parameters": {"d": {str(i): i for i in range(900)}}})
    assert caught.value.error == "script_error"
    assert len(caught.value.message) < 300


def test_each_rendering_has_all_steps() -> None:
    scripts = Scripts({"a": "{% for i in range(900) %}\nG0 X{{ i }}\n{% endfor %}"})
    for _ in range(20):
        assert len(scripts.render("a", {})) == 900


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n": 10**9}, "a list has more than 5000 entries"),
        ({"n": "9"}, "object cannot be interpreted as an integer"),
        ({"n": None}, "object cannot be interpreted as an integer"),
        ({}, "object cannot be interpreted as an integer"),
    ],
)
def test_a_parameter_that_would_make_a_script_endless(
    parameters: dict[str, object], message: str
) -> None:
    template = "{% for i in range(parameters.n) %}G28\n{% endfor %}"
    assert message in wrong(template, parameters=parameters).message


@pytest.mark.parametrize(
    "value", ["{{ 7 * 7 }}", "{% raw %}", "__class__", "%s%s%s", "{0.__class__}"]
)
def test_a_parameter_is_never_a_template(value: str) -> None:
    assert render("M117 {{ parameters.t }}", parameters={"t": value}) == [
        f"M117 {value}"
    ]


def test_a_thousand_lines_are_enough_for_anybody() -> None:
    assert len(render("{% for i in range(1000) %}\nG0 X{{ i }}\n{% endfor %}")) == 1000


def test_an_error_in_a_snippet_names_the_snippet() -> None:
    scripts = Scripts({"a": "G28\n{% snippet 's' %}", "snippets/s": "\n{{ nope }}"})
    with pytest.raises(RejectedError, match=r"script snippets/s, line 2: 'nope'"):
        scripts.render("a", {})
    scripts = Scripts({"a": "G28\n{% snippet 's' %}", "snippets/s": "\n{% nope %}"})
    with pytest.raises(RejectedError, match=r"script snippets/s, line 2: "):
        scripts.render("a", {})


def test_snippets_stand_in_their_place_and_read_the_same_variables() -> None:
    scripts = Scripts(
        {
            "a": "G28\n{% snippet 's' %}\n{% snippet parameters.more %}\nM106",
            "snippets/s": "T{{ parameters.t }}",
            "snippets/m": "M107",
        }
    )
    parameters = {"t": 1, "more": "m"}
    assert scripts.render("a", {"parameters": parameters}) == (
        "G28",
        "T1",
        "M107",
        "M106",
    )


@pytest.mark.parametrize(
    ("profile", "lines"),
    [
        (Profile(), ["M104 T0 S0", "M140 S0"]),
        (
            Profile(extruders=2, heated_bed=False, heated_chamber=True),
            ["M104 T0 S0", "M104 T1 S0", "M141 S0"],
        ),
        (Profile(extruders=2, shared_nozzle=True), ["M104 T0 S0", "M140 S0"]),
    ],
)
def test_the_bundled_snippets_turn_off_what_is_there(
    profile: Profile, lines: list[str]
) -> None:
    template = "".join(
        f"{{% snippet 'disable_{part}' %}}\n" for part in ("hotends", "bed", "chamber")
    )
    assert render(template, printer_profile=printer_profile(profile)) == lines


def test_a_file_comes_before_the_configuration() -> None:
    scripts = Scripts({"a": "G1", "b": "G2"}, {"a": "G3", "snippets/s": "G4"})
    assert scripts.names == ("a", "b")
    assert scripts.render("a", {}) == ("G3",)
    assert scripts.has("b")
    assert not scripts.has("snippets/s")


def test_an_unknown_script_is_not_found() -> None:
    with pytest.raises(
        RejectedError, match=r'no script "preheet".*"preheat"'
    ) as caught:
        run({"script": "preheet"}, {"preheat": "G28"})
    assert (caught.value.code, caught.value.error) == (404, "unknown_script")


def test_a_printer_without_scripts() -> None:
    request = commands.parse("command", b'{"script": "preheat"}')
    with pytest.raises(RejectedError, match="none is configured") as caught:
        request.command.program(Context())
    assert (caught.value.code, caught.value.error) == (404, "unknown_script")


def test_a_script_reads_parameters_context_and_profile() -> None:
    template = (
        "M104 S{{ parameters.t }}\nM117 {{ context.who }}\n"
        "{% for n in range(printer_profile.extruder.count) %}T{{ n }}{% endfor %}"
    )
    payload = {"script": "s", "parameters": {"t": 200}, "context": {"who": "me"}}
    assert run(payload, {"s": template}).lines == ("M104 S200", "M117 me", "T0")


def test_a_script_reads_what_is_known_of_the_printer() -> None:
    context = Context(
        scripts=Scripts({"s": "T{{ tool.new }}\nG0 X{{ last_position.x }}"}),
        variables=lambda: {"last_position": {"x": 1.5}},
    )
    lines = script_lines("s", context, {"tool": {"new": 1}})
    assert [line.text for line in lines] == ["T1", "G0 X1.5"]


def test_lines_of_a_script_are_checked_like_raw_ones() -> None:
    with pytest.raises(RejectedError, match=r"script s: must not have line numbers"):
        run({"script": "s"}, {"s": "N5 G28"})
    with pytest.raises(RejectedError, match=r"script s: a line must be printable"):
        run({"script": "s"}, {"s": "M23 \u00fc"})
    assert run({"script": "s"}, {"s": "M117 a;b ; c"}).lines == ("M117 a,b",)
    assert run({"script": "s"}, {"s": "g28 x0"}).lines == ("G28 X0",)


def test_an_emergency_stop_in_a_script_is_one() -> None:
    program = run({"script": "s"}, {"s": "G28\nM112"})
    assert program.emergency
    assert program.lines == ("M112",)


def test_a_script_gets_data_and_nothing_else() -> None:
    with pytest.raises(TypeError, match="a script cannot read a Profile"):
        render("", profile=Profile())


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    *(
                        "{{",
                        "}}",
                        "{%",
                        "%}",
                        " for ",
                        " in ",
                        "x",
                        "range(",
                        "900",
                        ")",
                    ),
                    *(" endfor ", " set ", "=", "~", "*", "**", "[", "]", "'a'", "|"),
                    *("join", "map(", " macro f() ", " endmacro ", "f()", "\n", "{#"),
                ]
            ),
            st.text(max_size=5),
        ),
        max_size=40,
    ).map("".join)
)
def test_any_template_gives_lines_or_one_clear_error(template: str) -> None:
    try:
        lines = render(template)
    except RejectedError as error:
        message = error.message
    else:
        message = "script test"
        assert all(line.strip() == line != "" for line in lines)
    assert message.startswith("script test")
