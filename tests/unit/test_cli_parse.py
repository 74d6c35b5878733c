"""The fast parser: what it reads, and that Typer never reads the same words otherwise."""

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer._click.exceptions import ClickException

from rootless.cli import entry
from rootless.cli._table import TABLE
from rootless.cli.app import COMMANDS, load_command
from rootless.cli.commands import _base
from rootless.cli.parse import LIST, OFF, normalise, parse

_loaded = {name: load_command(name) for name in COMMANDS}


def typed(command: str, words: list[str]) -> dict[str, object] | None:
    """What Typer makes of the words; None when it complains or shows its help."""
    loaded = _loaded[command]
    try:
        with loaded.make_context(f"rl {command}", list(words), obj=False) as ctx:
            ctx.info_name = f"rl {command}"
            return _base.values_of(ctx)[1]
    except (ClickException, typer.Exit):
        return None


def fast(command: str, words: list[str]) -> dict[str, object] | None:
    return parse(TABLE[command], words)


CORPUS = [
    "run busybox",
    "run -it --rm busybox sh",
    "run -itd busybox",
    "run -d --name web -p 8080:80 -p8443:443 -p=53:53/udp -v ./a:/b:ro -e A=B -eC image -x --rm",
    "run --name=x --env= --env A --publish=1 image -- -a",
    "run -- image --rm",
    "run --rm=true --tty=false -it=false image",
    "run --rm --rm=false image",
    "run -t -it -t=0 image true",
    "run --sig-proxy=false image",
    "run --no-sig-proxy --sig-proxy image",
    "run --no-sig-proxy=false image",
    "run --stop-timeout -1 --pids-limit=100 image",
    "run -h host --network none --net host image sh -c x",
    "run -w --rm image",
    "run - x",
    "run --trace image",
    "run --trace image --trace",
    "run --trace=file --trace --rm image",
    "run --trace= -i=true image",
    "run --name --trace image",
    "start --trace a b",
    "start a --trace=file",
    "build --trace .",
    "build . --trace=/tmp/x -t a",
    "create -it --name x image",
    "exec -it web sh -c 'ls -l'",
    "exec -u 0 -w / web -x",
    "ps",
    "ps -aq",
    "ps -f status=exited --filter name=x --format json",
    "ps -n 5",
    "ps -n-1",
    "ps -l=true",
    "logs web -f --tail 5",
    "logs -fn5 web",
    "logs --since=10m -t web",
    "start -ai web",
    "stop -t 5 a b",
    "stop a --timeout=1 b",
    "stop -- -a",
    "kill -s TERM a",
    "kill --signal=9 a b c",
    "rm -fv a b",
    "rm a -f",
    "wait a b",
    "port a",
    "port a 80/tcp",
    "pull --tls-verify=false a",
    "pull -q --no-tls-verify a b",
    "images",
    "images busybox --digests",
    "rmi -f a b",
    "import - name:tag -c CMD",
    "import file",
    "bootstrap debian:bookworm --include a,b --include c",
    "inspect -f {{.Id}} a b",
    "inspect --type image a",
    "doctor --json",
    "explain",
    "explain x",
    "version -f json",
    "info",
]

NOT_UNDERSTOOD = [
    "run",
    "run -it",
    "run --unknown image",
    "run -X image",
    "run --name",
    "run -p",
    "run --rm=maybe image",
    "run --help",
    "run --stop-timeout x image",
    "run --stop-timeout= image",
    "exec web",
    "ps extra",
    "ps -n",
    "ps -n x",
    "ps --help",
    "ps -h",
    "port a b c",
    "stop",
    "rm -f",
    "logs",
    "logs a b",
    "import",
    "import a b c",
]


@pytest.mark.parametrize("line", CORPUS)
def test_both_parsers_read_the_same_values(line: str) -> None:
    command, *words = line.split()
    quick = fast(command, words)
    assert quick is not None
    assert quick == typed(command, words)


@pytest.mark.parametrize("line", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_left_to_typer_which_complains(line: str) -> None:
    command, *words = line.split()
    assert fast(command, words) is None
    assert typed(command, words) is None


def _words(command: str) -> st.SearchStrategy[list[str]]:
    """Command lines out of the command's own options, and near misses."""
    _, _, options, _, _ = TABLE[command]
    values = st.sampled_from(
        ["", "x", "a=b", "-", "--", "-x", "--rm", "5", "-1", "true", "false", "0", "é", "=", "=x"]
    )
    flags = st.sampled_from([*sorted(options), "--nothing", "-Z"])
    letters = "".join(sorted(flag[1] for flag in options if len(flag) == 2)) + "Z="
    bundles = st.text(letters, min_size=1, max_size=4).map(lambda text: f"-{text}")
    joined = st.builds(lambda flag, value: f"{flag}={value}", flags, values)
    attached = st.builds(lambda bundle, value: bundle + value, bundles, values)
    return st.lists(st.one_of(flags, flags, joined, bundles, attached, values), max_size=8)


@pytest.mark.parametrize("command", ["run", "exec", "ps", "logs", "stop", "start", "pull", "port"])
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whenever_the_fast_parser_answers_typer_agrees(command: str, data: st.DataObject) -> None:
    words = data.draw(_words(command))
    quick = fast(command, words)
    if quick is not None:
        assert quick == typed(command, words)


def test_options_after_the_image_belong_to_the_command() -> None:
    values = fast("run", ["image", "ls", "--rm", "-l"])
    assert values is not None
    assert (values["args"], values["rm"], values["label"]) == (["ls", "--rm", "-l"], False, [])


def test_the_last_of_several_values_counts() -> None:
    values = fast("run", ["--name", "a", "--name=b", "--rm", "--rm=false", "image"])
    assert values is not None
    assert (values["name"], values["rm"]) == ("b", False)


def test_lists_of_two_calls_are_not_shared() -> None:
    first, second = fast("run", ["image"]), fast("run", ["image"])
    assert first is not None and second is not None
    assert first["env"] == [] and first["env"] is not second["env"]


def test_normalise_keeps_values_that_look_like_flags() -> None:
    options = TABLE["run"][2]
    assert normalise(options, False, ["--name", "--rm", "--rm=false", "i"]) == [
        "--name", "--rm", "i",
    ]  # fmt: skip


def test_values_are_named_as_the_contract_says() -> None:
    run = TABLE["run"]
    lists = {name for name, kind in run[2].values() if kind == LIST}
    assert {"env", "publish", "volume", "cap_add", "security_opt", "label", "device"} <= lists
    assert run[3] == (("image", 0), ("args", 3))
    assert run[4]["pull"] == "missing" and run[4]["entrypoint"] is None
    assert run[4]["sig_proxy"] is True and "detach" not in TABLE["create"][4]
    assert run[2]["--no-sig-proxy"] == ("sig_proxy", OFF)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("container ls -a", ("ps", ["-a"], {})),
        ("container inspect x", ("inspect", ["x"], {"type": "container"})),
        ("image rm x", ("rmi", ["x"], {})),
        ("image nothing", ("image", ["nothing"], {})),
        ("container", ("container", [], {})),
        ("run x", ("run", ["x"], {})),
    ],
)
def test_management_commands_are_the_plain_ones(
    line: str, expected: tuple[str, list[str], dict[str, str]]
) -> None:
    assert entry.find_command(line.split()) == expected


def test_a_value_that_may_be_left_out() -> None:
    for words, expected in (
        (["image"], None),
        (["--trace", "image"], ""),
        (["--trace=file", "image"], "file"),
        (["--trace=a", "--trace", "image"], ""),
    ):
        values = fast("run", words)
        assert values is not None
        assert (values["trace"], values["image"]) == (expected, "image")
