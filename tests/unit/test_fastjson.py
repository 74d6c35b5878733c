"""rootless.fastjson answers as json does."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless import fastjson

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_dumps_is_read_back_by_json(value):
    assert json.loads(fastjson.dumps(value)) == value


@given(VALUES, st.sampled_from([None, 1]))
def test_loads_reads_what_json_writes(value, indent):
    assert fastjson.loads(json.dumps(value, indent=indent).encode()) == value


@given(st.text(max_size=20))
def test_loads_refuses_what_json_refuses(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            fastjson.loads(text)
        return
    assert repr(fastjson.loads(text)) == repr(expected)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "{}x", "nul", '{"a":1,}', "'a'", "\x00"])
def test_rubbish_is_a_value_error(text):
    with pytest.raises(ValueError):
        fastjson.loads(text)


@pytest.mark.parametrize("text", ["{", "[1,", '{"a" 1}', '"\\x"', '"\n"'])
def test_rubbish_is_a_value_error_where_json_was_not_imported(text):
    code = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from rootless import fastjson\n"
        "assert 'json' not in sys.modules\n"
        "try:\n fastjson.loads(sys.argv[2])\n"
        "except ValueError:\n sys.exit(0)\n"
        "sys.exit(1)"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    argv = [sys.executable, "-I", "-S", "-c", code, root, text]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_json_cannot_say_is_a_type_error():
    with pytest.raises(TypeError):
        fastjson.dumps({1, 2})


def test_infinity_is_refused_when_written():
    with pytest.raises(ValueError):
        fastjson.dumps(float("inf"))
