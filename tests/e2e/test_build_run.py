"""RUN: its mounts, networks, secrets, limits, and failures."""

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support import traces
from support.builds import Project, states
from support.program import Rl

from e2e.test_bad_luck import run_without


def test_bind_mounts_of_context_and_stage(project: Project) -> None:
    project.write({"src/a": "context\n"})
    text = """
        FROM busybox AS one
        RUN echo stage >/note
        FROM busybox
        RUN --mount=target=/src cat /src/src/a >/1
        RUN --mount=type=bind,from=one,source=/note,target=/mnt/note cat /mnt/note >/2
        RUN --mount=type=bind,source=src,target=/src,rw echo x >/src/new && ls /src >/3
        RUN --mount=type=bind,source=src,target=/src touch /src/no 2>/dev/null || echo ro >/4
    """
    assert project.script(text, "cat /1 /2 /3 /4; ls /src 2>/dev/null").split() == [
        "context", "stage", "a", "new", "ro",
    ]  # fmt: skip
    assert os.listdir(f"{project.directory}/src") == ["a"]


def test_cache_mount_keeps_its_content_between_builds(project: Project) -> None:
    name = project.rl.name("cache")
    step = f"RUN --mount=type=cache,id={name},target=/cache"
    project.build(f"{step} echo kept >/cache/f\n")
    text = f"{step} cat /cache/f >/note\nRUN {step[4:]} ls /cache >>/note\n"
    assert project.script(text, "cat /note; ls /cache 2>/dev/null").split() == ["kept", "f"]
    text = f"RUN --mount=type=cache,id={name}-2,target=/cache,mode=0700,uid=5 stat -c %u:%a /cache"
    if not os.path.exists("/etc/subuid"):
        pytest.skip("this user has no subordinate IDs")
    assert project.script(f"{text} >/note\n", "cat /note") == "5:700"


def test_tmpfs_mount(project: Project) -> None:
    text = """
        RUN --mount=type=tmpfs,target=/t,size=1m echo x >/t/f && df -k /t | tail -1 >/note
    """
    assert "1024" in project.script(text, "cat /note; ls /t")


def test_secret_is_there_for_its_step_and_nowhere_else(project: Project, rl: Rl) -> None:
    secret = "tops3cret-" + rl.name()
    path = project.write({"../token": secret}).directory + "/../token"
    text = """
        RUN --mount=type=secret,id=token,required cat /run/secrets/token | wc -c >/1
        RUN --mount=type=secret,id=token,target=/etc/tok,mode=0440,uid=0 stat -c %a /etc/tok >/2
        RUN --mount=type=secret,id=var,env=VAR echo $VAR | wc -c >/3
        RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
    """
    project.dockerfile(text)
    args = ["--secret", f"id=token,src={path}", "--secret", "id=var,env=SECRET_VAR"]
    done = project.run(*args, "-t", "secret:1", env={"SECRET_VAR": secret})
    shown = project.inside("secret:1", "cat /1 /2 /3; ls /run/secrets /etc/tok 2>/dev/null")
    assert shown.split() == [str(len(secret)), "440", str(len(secret) + 1)]
    assert secret not in done.stderr + done.stdout
    for directory, _, names in os.walk(rl.store):
        for name in names:
            file = f"{directory}/{name}"
            if os.path.isfile(file) and not os.path.islink(file) and os.access(file, os.R_OK):
                assert secret.encode() not in Path(file).read_bytes(), file
    # Another value is no reason to run the steps again.
    Path(path).write_text("another")
    assert "CACHED" in states(project.run(*args, env={"SECRET_VAR": "b"})).values()
    rl.run("rmi", "secret:1")


def test_required_secret_that_is_missing_fails(project: Project) -> None:
    args = ("--secret", "id=unused,src=/no/such/file")
    assert "/no/such/file" in project.run(*args, status=125).stderr
    err = project.fails("RUN --mount=type=secret,id=token,required true\n")
    assert "token" in err and "Dockerfile:2" in err


def _with_ssh_add(project: Project) -> Project:
    """busybox can't talk to a socket: the host's own ssh-add does, with what it needs."""
    program = shutil.which("ssh-add") or ""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    for library in re.findall(r"(/\S+) \(0x", done.stdout):
        project.write({f"root{library}": Path(library).read_bytes()})
        os.chmod(f"{project.directory}/root{library}", 0o755)
    project.write({"root/bin/ssh-add": Path(program).read_bytes()})
    os.chmod(f"{project.directory}/root/bin/ssh-add", 0o755)
    return project


@pytest.mark.needs("ssh-agent", "ssh-add")
def test_ssh_mount_forwards_the_agents_socket(project: Project, test_dir: str) -> None:
    path = f"{test_dir}/agent-{os.getpid()}"
    _with_ssh_add(project)
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        try:
            traces.wait_until(lambda: os.path.exists(path))
            text = """
                COPY root /
                RUN --mount=type=ssh ssh-add -l >/note; ls $SSH_AUTH_SOCK >>/note
                RUN --mount=type=ssh,dst=/a/b,mode=0660,uid=0,gid=0,required=true \\
                    stat -c "%n %a %F" $SSH_AUTH_SOCK >>/note && ssh-add -l >/dev/null; \\
                    echo $? >>/note
            """
            image = project.build(text, "--ssh", f"default={path}")
        finally:
            agent.terminate()
    shown = project.inside(image, "cat /note; ls -d /run/buildkit 2>/dev/null")
    assert "The agent has no identities." in shown and "/run/buildkit\n" not in shown
    assert shown.endswith("/a/b 660 socket\n1")  # 1: the agent has answered, and has no keys


@pytest.mark.needs("ssh-agent", "ssh-add")
def test_ssh_keys_are_served_while_the_build_goes_on(project: Project, tmp_path: object) -> None:
    _with_ssh_add(project)
    for name, passphrase in (("one", ""), ("two", ""), ("locked", "secret")):
        words = ["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", f"{tmp_path}/{name}"]
        subprocess.run(["ssh-keygen", *words], check=True)
    os.chmod(f"{tmp_path}/one", 0o644)  # which ssh-add would not take from the file
    keys = [Path(f"{tmp_path}/{name}.pub").read_text().split()[1] for name in ("one", "two")]
    text = "COPY root /\nRUN --mount=type=ssh,id=git,required ssh-add -L >/note\n"
    image = project.build(text, "--ssh", f"git={tmp_path}/one,{tmp_path}/two")
    shown = project.inside(image, "cat /note")
    assert [line.split()[1] for line in shown.splitlines()] == keys
    error = project.fails(text, "--ssh", f"git={tmp_path}/locked", code="RL-BUILD-SSH")
    assert "passphrase" in error
    error = project.fails(text, "--ssh", f"git={tmp_path}/one.pub", code="RL-BUILD-SSH")
    assert "one.pub" in error and "passphrase" not in error
    project.fails(text, "--ssh", f"git={tmp_path}/one,{tmp_path}/none", code="RL-BUILD-SSH")


@pytest.mark.needs("slirp4netns")
def test_networks(project: Project) -> None:
    project.network = []
    text = """
        RUN --network=none ls /sys/class/net >/1
        RUN --network=host ls /sys/class/net | grep -c . >/2
        RUN ip -o addr | grep -c 'inet ' >/3
    """
    shown = project.script(text, "cat /1; echo -; cat /3")
    assert shown.split() == ["lo", "-", "2"]


def test_hosts_shm_and_ulimits(project: Project) -> None:
    text = "RUN grep -h extra /etc/hosts >/1; df -k /dev/shm | tail -1 >/2; ulimit -n >/3\n"
    image = project.build(
        text, "--add-host", "extra:10.1.2.3", "--shm-size", "2m", "--ulimit", "nofile=100:100"
    )
    shown = project.inside(image, "cat /1 /2 /3; grep -c extra /etc/hosts").split()
    assert shown[0] == "10.1.2.3" and "2048" in shown and shown[-2:] == ["100", "0"]


def test_resolv_conf_and_hosts_do_not_become_part_of_the_image(project: Project) -> None:
    project.network = []
    image = project.build("RUN cat /etc/hosts /etc/resolv.conf >/note\n")
    value = project.rl.inspect(image)["RootFS"]["Layers"][-1].partition(":")[2]
    diff = f"{project.rl.store}/layers/{value}/diff"
    found = [f"{d}/{n}" for d, _, names in os.walk(diff) for n in names]
    assert found == [f"{diff}/note"]


def test_step_is_unprivileged_and_sees_no_processes_of_others(project: Project) -> None:
    text = (
        "RUN ps | wc -l >/1; id -u >/2; cat /proc/1/comm >/3; mount -t proc p /mnt || echo no >/4\n"
    )
    shown = project.script(text, "cat /2 /4").split()
    assert shown == ["0", "no"]


def test_failing_step_shows_its_line_status_and_output(project: Project) -> None:
    err = project.fails("RUN true\nRUN echo one; echo two >&2; \\\n    exit 7\nRUN true\n")
    assert "Dockerfile:3" in err and ">>> RUN echo one" in err
    assert "exit code: 7" in err
    tail = err[err.index("------") :]
    assert "one\n" in tail and "two\n" in tail
    assert "RUN true:" not in tail


def test_command_that_does_not_exist(project: Project) -> None:
    assert "Dockerfile:2" in project.fails('RUN ["/no/such/program"]\n')
    assert "exit code: 127" in project.fails("RUN no-such-program\n")


def test_output_that_is_no_text(project: Project) -> None:
    project.dockerfile(
        "RUN printf '\\033]0;title\\007\\377\\000bytes\\r\\nprogress 1\\rprogress 2'\n"
    )
    done = project.run()
    assert "\x1b]0" not in done.stderr and "progress 2" in done.stderr


def test_much_output_and_a_closed_standard_input(project: Project) -> None:
    project.dockerfile("RUN seq 20000; cat\n")
    assert " 20000\n" in project.run().stderr


def test_processes_left_by_a_step_end_with_it(project: Project, no_leftovers: None) -> None:
    project.dockerfile("RUN sleep 1000 & echo started\nRUN ps | grep -c '[s]leep' || echo gone\n")
    assert "gone" in project.run(timeout=30).stderr


def test_what_a_step_removes_is_gone(project: Project) -> None:
    text = """
        RUN mkdir /d && touch /d/a /d/b /c
        RUN rm -r /d && mkdir /d && touch /d/new && rm /c && mv /etc/group /etc/moved
    """
    image = project.build(text)
    assert project.inside(image, "ls /d /c /etc/group 2>/dev/null").split() == ["/d:", "new"]


def test_shell_on_fail_opens_one_in_the_steps_files(project: Project, rl: Rl) -> None:
    project.write({"src/a": "mounted"})
    project.dockerfile("""
        RUN echo below >/below
        WORKDIR /w
        RUN --mount=source=src,target=/src echo left >/left; exit 5
    """)
    terminal = rl.pty("build", "--shell-on-fail", "--network", "none", project.directory)
    terminal.expect("a shell in the files of this step")
    terminal.send("cat /below /left /src/a; pwd\r")
    terminal.expect("below\r?\nleft\r?\nmounted/w")
    # Its own terminal: Ctrl-C is for what it runs.
    terminal.send("sh -c 'tty; exec sleep 1000'\r")
    terminal.expect("/dev/pts/0")
    terminal.send("\x03")
    terminal.send("echo status $?\r")
    terminal.expect("status 130")
    terminal.send("exit\r")
    terminal.expect("exit code: 5")
    assert terminal.wait() == 1
    terminal.close()


def test_shell_on_fail_needs_a_terminal(project: Project, rl: Rl) -> None:
    err = project.fails("RUN exit 5\n", "--shell-on-fail")
    assert "exit code: 5" in err


def test_control_c_ends_the_build_and_the_display(
    project: Project, rl: Rl, no_leftovers: None
) -> None:
    project.dockerfile("RUN echo started; sleep 100\n")
    terminal = rl.pty("build", "--network", "none", project.directory)
    terminal.expect("=> => # started")
    terminal.send("\x03")
    assert terminal.wait() == 130
    terminal.expect(r"\x1b\[\?25h")
    terminal.close()


@pytest.mark.parametrize("hidden", [["/usr/bin/newuidmap", "/usr/bin/newgidmap"]])
def test_with_one_id_chown_and_user_are_kept_for_the_image(
    fresh_store: Callable[..., Rl], tmp_path: object, hidden: list[str]
) -> None:
    rl = fresh_store(busybox=True)
    project = Project(rl, f"{tmp_path}/context")
    project.write({"a": "a"}).dockerfile("""
        RUN echo ann:x:1000:1000::/:/bin/sh >>/etc/passwd && chown 1000:1000 /etc/passwd
        COPY --chown=ann a /a
        RUN chown 7:8 /home && echo done >/note
    """)
    out = f"{tmp_path}/out.tar"
    words = ["build", "--progress", "plain", "--network", "none", "-o", f"type=oci,dest={out}"]
    done = run_without(rl, hidden, *words, project.directory)
    assert done.returncode == 0, done.stderr
    owners: dict[str, tuple[int, int]] = {}
    with tarfile.open(out) as archive:
        for blob in archive.getnames():
            data = archive.extractfile(blob)
            if blob.startswith("blobs/sha256/") and data and data.read(2) == b"\x1f\x8b":
                data.seek(0)
                with tarfile.open(fileobj=data) as layer:
                    owners |= {m.name.removeprefix("./"): (m.uid, m.gid) for m in layer}
    assert owners["a"] == (1000, 1000)
    assert owners["note"] == (0, 0)


def test_mounts_on_the_root_and_wrong_directives_are_refused(project: Project) -> None:
    for flag in ("type=cache", "type=tmpfs,target=/", "type=bind,target=.."):
        err = project.fails(f"RUN --mount={flag} true\n", code="RL-BUILD-MOUNT")
        assert "Dockerfile:2" in err and "DONE" not in err
    project.build("WORKDIR /w\nRUN --mount=type=tmpfs touch x; grep ' /w tmpfs' /proc/mounts\n")
    project.write({"Dockerfile": "# check=fail=all\nFROM busybox\n"})
    assert "Dockerfile:1" in project.fails("", code="RL-BUILD-CHECK")
