"""JSON on the warm path: json's own C scanner and encoder, without json's import.

`import json` brings re, enum and functools for its Python parts: 6 to 8 of the 45 ms of a whole
`rl run`.  `_json` is the accelerator that it uses itself; where a Python lacks it, or calls it
otherwise, json does the work.  tests/unit/test_fastjson.py holds both to the same answers.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WHITESPACE = " \t\n\r"


class _Settings:
    """What the C scanner reads its options from."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo: "dict[str, str]" = {}  # noqa: RUF012 - not shared state: the scanner clears it

    @staticmethod
    def parse_constant(name: str) -> float:
        return float(name.replace("Infinity", "inf").replace("NaN", "nan"))


try:
    import _json

    _settings: "Any" = _Settings
    _scan: "Any" = _json.make_scanner(_settings)
except (ImportError, TypeError, AttributeError):  # pragma: no cover - not CPython
    _scan = None


def loads(data: "bytes | str") -> "Any":
    """json.loads(); ValueError for what is not JSON in UTF-8."""
    text = data.decode("utf-8", "surrogatepass") if isinstance(data, bytes) else data
    if _scan is None:
        import json

        return json.loads(text)
    text = text.strip(_WHITESPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration as e:
        raise ValueError(f"not JSON at character {e.value}") from None
    except SystemError:
        # Before Python 3.13 the scanner looks for its exception in json, without importing it.
        import json

        return json.loads(text)
    if end != len(text):
        raise ValueError(f"not JSON: more after character {end}")
    return value


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


try:
    _encode: "Any" = _json.make_encoder(
        None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False
    )
    _encode({}, 0)
except (NameError, TypeError, AttributeError):  # pragma: no cover
    _encode = None

if _scan is None or _encode is None:
    import json

    quote = json.encoder.encode_basestring_ascii
else:
    quote = _json.encode_basestring_ascii


def dumps(value: object) -> str:
    """json.dumps() in ASCII, without spaces.  TypeError for what JSON cannot say."""
    if _encode is None:
        import json

        return json.dumps(value, separators=(",", ":"))
    return "".join(_encode(value, 0))
