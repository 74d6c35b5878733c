"""--format: Go's templates, as far as Docker's users use them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.cli.template import Map, Template, render_rows
from rootless.errors import UsageError

VALUE = {
    "A": {"B": "x"},
    "L": ["a", "b"],
    "N": 3,
    "T": True,
    "M": Map(k="v", z="w"),
    "E": None,
    "S": "",
    "Label": lambda name: f"<{name}>",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain } text", "plain } text"),
        ("{{.A.B}}", "x"),
        ("{{ .N }}", "3"),
        ("{{.T}} {{.L}} {{.M}} {{.E}}", "true [a b] map[k:v z:w] <no value>"),
        ("{{json .A}}{{json .L}}{{json .S}}{{json .E}}", '{"B":"x"}["a","b"]""null'),
        ("{{.M.k}} {{.M.missing}}", "v <no value>"),
        ('{{index .L 1}} {{index .M "z"}} {{(index .L 0)}} {{(.A).B}}', "b w a x"),
        ('{{join .L ","}} {{len .L}} {{split "a/b" "/"}}', "a,b 2 [a b]"),
        ('{{lower "AB"}} {{upper "ab"}} {{title "ab cd"}}', "ab AB Ab Cd"),
        ('{{truncate "abcdef" 3}}{{truncate "ab" 3}}', "abcab"),
        ('{{.Label "q"}} {{"w" | .Label}}', "<q> <w>"),
        ('{{printf "%05d|%-4s|%4s|%q|%v|%%" .N "x" "y" "z" .L}}', '00003|x   |   y|"z"|[a b]|%'),
        ('{{printf "%s %d" "x"}}{{printf "a" 1}}', "x %!d(MISSING)a%!(EXTRA 1)"),
        ('{{println "a" 1}}', "a 1\n"),
        ('{{print "a" 1 2 "b"}}', "a1 2b"),
        ("{{if .T}}yes{{else}}no{{end}}{{if .S}}yes{{else}}no{{end}}", "yesno"),
        ("{{if eq .N 4}}4{{else if eq .N 3}}3{{else}}?{{end}}", "3"),
        ('{{if and .T (eq .A.B "x")}}y{{end}}{{or .S "d"}}{{not .T}}', "ydfalse"),
        ("{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}} {{ne 1 2}} {{eq 1 2 1}}",
         "true true false false true true"),
        ("{{range .L}}<{{.}}>{{end}}", "<a><b>"),
        ("{{range $i, $e := .L}}{{$i}}={{$e}};{{end}}", "0=a;1=b;"),
        ("{{range $k, $v := .M}}{{$k}}={{$v}} {{end}}", "k=v z=w "),
        ("{{range .S}}x{{else}}none{{end}}", None),
        ("{{range .E}}x{{else}}none{{end}}", "none"),
        ("{{range .L}}{{if eq . \"a\"}}{{continue}}{{end}}{{.}}{{break}}{{end}}", "b"),
        ("{{with .A}}{{.B}}{{$.N}}{{end}}{{with .E}}x{{else}}e{{end}}", "x3e"),
        ("{{$x := 5}}{{$x}}{{$x = 6}}{{$x}}", "56"),
        ("{{$x := 1}}{{range .L}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("a {{- .N -}} b", "a3b"),
        ("a {{- /* c }} */ -}} b{{/* d */}}", "ab"),
        ("{{`raw}}`}}{{\"q}}\\t\\u00e9\"}}", "raw}}q}}\té"),
        ("{{3.5}} {{-2}} {{0x10}} {{'a'}}", "3.5 -2 16 97"),
        ("{{slice \"abcdef\" 1 3}}", "bc"),
    ],
)  # fmt: skip
def test_template(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(UsageError):
            Template(text).render(VALUE)
    else:
        assert Template(text).render(VALUE) == expected


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("{{", 3),
        ("{{}}", 3),
        ("ab{{.X}}", 5),
        ("{{.A.}}", 5),
        ("{{if}}", 3),
        ("{{if .A}}", 3),
        ("{{end}}", 3),
        ("{{else}}", 3),
        ("{{foo}}", 3),
        ('{{"a}}', 3),
        ("{{join 3}}", 3),
        ("{{index .L 9}}", 3),
        ("{{.A | }}", 6),
        ("{{| .A}}", 3),
        ("{{$y}}", 3),
        ("{{break}}", 3),
        ("{{.E.F}}", 3),
        ("{{.N.F}}", 3),
        ("{{lower 3}}", 3),
        ("{{(.A}}", 3),
        ("{{.A)}}", 5),
        ("{{define}}", 3),
        ("{{.N 4}}", 3),
        ('{{"\\z"}}', 3),
        ("{{12x}}", 3),
        ("{{#}}", 3),
    ],
)
def test_a_mistake_is_shown_with_its_place(text: str, character: int) -> None:
    with pytest.raises(UsageError) as caught:
        Template(text).render(VALUE)
    assert caught.value.code == "RL-FORMAT"
    assert f"at character {character}:" in caught.value.what


@given(st.text(alphabet='{}.$|()"`-=: /*abLNifrangeendelse01', max_size=40))
def test_no_text_crashes_it(text: str) -> None:
    try:
        Template(text).render(VALUE)
    except UsageError as e:
        assert e.code == "RL-FORMAT"


ROWS = [{"ID": "1", "Name": "a\x1b[31m", "f": len}, {"ID": "22", "Name": "b"}]
HEADINGS = {"ID": "CONTAINER ID", "Name": "NAME"}


def test_a_table_has_headings_and_columns() -> None:
    assert render_rows("table {{.ID}}\\t{{.Name}}", ROWS, HEADINGS) == (
        "CONTAINER ID   NAME\n1              a\\x1b[31m\n22             b\n"
    )


def test_functions_leave_headings_alone() -> None:
    out = render_rows('table {{json .ID}} {{join .Name ","}}', [], HEADINGS)
    assert out == "CONTAINER ID NAME\n"


def test_json_is_one_object_a_line_without_methods() -> None:
    assert render_rows("json", ROWS[1:], HEADINGS) == '{"ID":"22","Name":"b"}\n'
    assert "len" not in render_rows("json", ROWS, HEADINGS)
