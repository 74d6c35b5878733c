"""top, stats, container prune and wait --condition."""

import json

from support.program import Rl
from support.traces import wait_until

LOAD = "head -c 30000000 /dev/zero > /f; (while :; do :; done) & sleep 1000"


def test_top_lists_the_processes_with_the_users_of_the_container(rl: Rl, ann_image: str) -> None:
    name = rl.name()
    rl.start("--name", name, "--user", "ann", image=ann_image, command="sleep 777 & sleep 778")
    wait_until(lambda: "sleep 778" in rl.out("top", name), what="the sleep")
    lines = rl.out("top", name).splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert {line.split()[0] for line in lines[1:]} == {"ann"}
    pid = rl.inspect(name)["State"]["Pid"]
    assert str(pid) in [line.split()[1] for line in lines[1:]]

    table = rl.out("container", "top", name, "-eo", "pid,cpid=IN,user=WHO,uid,gid,comm,args")
    heading, *rows = [line.split(None, 6) for line in table.splitlines()]
    assert heading == ["PID", "IN", "WHO", "UID", "GID", "COMMAND", "COMMAND"]
    init = next(row for row in rows if row[0] == str(pid))
    assert init[1:5] == ["1", "ann", "1000", "1000"]
    bsd = rl.out("top", name, "aux").splitlines()[0].split()
    assert bsd[:4] == ["USER", "PID", "%CPU", "%MEM"]
    for words in (["-o", "nonsense"], ["--sort", "pid"], ["-Z"], ["-o"]):
        rl.fails("top", name, *words, code="RL-TOP")
    rl.run("exec", "-d", name, "sleep", "779")
    wait_until(lambda: "sleep 779" in rl.out("top", name), what="what exec started")
    rl.run("kill", name)
    rl.fails("top", name, status=1, code="RL-CONTAINER-NOT-RUNNING")


def test_stats_measures_cpu_memory_and_processes(rl: Rl) -> None:
    busy, idle, created = rl.name(), rl.name(), rl.name()
    rl.start("--name", busy, command=LOAD)
    rl.start("--name", idle)
    rl.run("create", "--name", created, "busybox", "true")

    def look() -> dict[str, str]:
        done = rl.run("stats", "--no-stream", "--format", "json", busy)
        row = dict(json.loads(done.stdout))
        assert (row["Source"] == "proc") == ("measured from /proc" in done.stderr)
        return row

    row = look()
    assert row["Name"] == row["Container"] == busy
    assert set(row) == {
        "BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs",
        "Pressure", "Source",
    }  # fmt: skip
    wait_until(lambda: float(look()["CPUPerc"].rstrip("%")) > 1, what="CPU time")
    assert int(look()["PIDs"]) in (2, 3)  # the shell may become the sleep
    table = rl.out("stats", "--no-stream").splitlines()
    assert table[0].split()[:4] == ["CONTAINER", "ID", "NAME", "CPU"]
    assert {line.split()[1] for line in table[1:]} == {busy, idle}
    names = rl.out("stats", "--no-stream", "-a", "--format", "{{.Name}} {{.PIDs}}").splitlines()
    assert f"{created} 0" in names and f"{idle} 2" in names
    full = rl.out("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", busy)
    assert len(full) == 64
    rl.fails("stats", "--no-stream", "missing", status=1, code="RL-CONTAINER-NOT-FOUND")


def test_stats_goes_on_until_it_is_stopped(rl: Rl) -> None:
    name = rl.name()
    rl.start("--name", name)
    watching = rl.popen("stats", "--format", "{{.Name}}", name)
    assert watching.stdout is not None
    assert [watching.stdout.readline() for _ in range(2)] == [f"{name}\n"] * 2
    watching.terminate()
    watching.communicate(timeout=20)


def test_container_prune_removes_what_does_not_run(rl: Rl) -> None:
    running, ended, kept = rl.name(), rl.name(), rl.name()
    rl.start("--name", running)
    rl.run("run", "--name", ended, "--network", "none", "busybox", "sh", "-c", "echo 12345 > /f")
    rl.run("create", "--name", kept, "--label", "keep=yes", "busybox", "true")
    ended_id = rl.inspect(ended)["Id"]
    rl.fails("container", "prune", status=1, code="RL-CANCELLED", input="n\n")
    assert rl.out("container", "prune", "-f", "--filter", "until=1h").startswith("Total")
    text = rl.out("container", "prune", "--force", "--filter", "label!=keep")
    assert text.startswith(f"Deleted Containers:\n{ended_id}\n"), text
    assert "Total reclaimed space: 6B" in text
    left = set(rl.out("ps", "-a", "--format", "{{.Names}}").splitlines())
    assert left == {running, kept}
    rl.fails("container", "prune", "-f", "--filter", "ancestor=x", code="RL-FILTER")
    done = rl.run("container", "prune", input="y\n")
    assert done.stdout.startswith("WARNING! This will remove all stopped containers.")


def test_wait_for_a_condition(rl: Rl) -> None:
    name = rl.name()
    rl.run(
        "create", "--name", name, "--network", "none", "busybox", "sh", "-c", "sleep 0.1; exit 7"
    )
    assert rl.out("wait", name) == "0"
    assert rl.out("wait", "--condition", "created", name) == "0"
    waiting = rl.popen("wait", "--condition", "next-exit", name)
    gone = rl.popen("wait", "--condition", "removed", name)
    ran = rl.popen("wait", "--condition", "running", "--condition", "exited", name)
    # Started twice: a waiter that is slow to begin sees the next exit.
    while waiting.poll() is None:
        rl.run("start", name)
        rl.run("wait", name)
    assert waiting.communicate()[0] == "7\n"
    assert ran.communicate(timeout=20)[0] in ("-1\n", "7\n")
    rl.run("rm", name)
    assert gone.communicate(timeout=20)[0] == "7\n"
    rl.fails("wait", "--condition", "nonsense", rl.start(), status=125)
