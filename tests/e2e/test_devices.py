"""--device, --gpus and CDI devices."""

import json
import os
from collections.abc import Iterator

import pytest
from support.program import Rl

RUN = ("run", "--rm", "--network", "none")


@pytest.fixture
def cdi(rl: Rl) -> Iterator[str]:
    """The user's directory of CDI specifications."""
    directory = f"{rl.home}/.config/cdi"
    os.makedirs(directory)
    yield directory
    for name in os.listdir(directory):
        os.unlink(f"{directory}/{name}")
    os.rmdir(directory)


def specify(directory: str, kind: str, edits: dict[str, object], **devices: object) -> None:
    name = kind.replace("/", "-")
    with open(f"{directory}/{name}.json", "w") as file:
        json.dump(
            {
                "cdiVersion": "0.6.0",
                "kind": kind,
                "containerEdits": edits,
                "devices": [{"name": k, "containerEdits": v} for k, v in devices.items()],
            },
            file,
        )


def test_devices_of_the_host_in_every_form(rl: Rl) -> None:
    options = ["--device", "/dev/zero:/dev/zero2", "--device", "/dev/full:rw",
               "--device", "/dev/null:/dev/again:r"]  # fmt: skip
    look = "for d in zero2 full again; do [ -c $d ] && echo $d; done"
    script = f"cd /dev; {look}; head -c 3 zero2 | wc -c"
    assert rl.out(*RUN, *options, "busybox", "sh", "-c", script).split() == [
        "zero2", "full", "again", "3",
    ]  # fmt: skip
    name = rl.name()
    rl.run("create", "--name", name, *options, "busybox", "true")
    assert rl.inspect(name)["HostConfig"]["Devices"][0] == {
        "PathOnHost": "/dev/zero", "PathInContainer": "/dev/zero2", "CgroupPermissions": "rwm",
    }  # fmt: skip


def test_devices_that_cannot_be_are_refused(rl: Rl, no_leftovers: None, tmp_path: object) -> None:
    run = (*RUN, "--device")
    rl.fails(*run, "/dev/nothing", "busybox", "true", code="RL-DEVICE")
    rl.fails(*run, f"{tmp_path}", "busybox", "true", code="RL-DEVICE")
    rl.fails(*run, "/etc/passwd", "busybox", "true", code="RL-DEVICE")
    private = next((p for p in ("/dev/kmsg", "/dev/mem", "/dev/loop-control", "/dev/console")
                    if os.path.exists(p) and not os.access(p, os.R_OK | os.W_OK)), "")  # fmt: skip
    if private:
        line = rl.fails(*run, private, "busybox", "true", code="RL-DEVICE")
        assert "you may not open it yourself" in line
    rl.fails(*run, "nvidia", "busybox", "true", code="RL-USAGE")
    rl.fails(*run, "nvidia=all", "busybox", "true", code="RL-USAGE")


def test_cdi_devices_bring_nodes_mounts_and_variables(rl: Rl, cdi: str, tmp_path: object) -> None:
    with open(f"{tmp_path}/lib", "w") as file:
        file.write("library\n")
    mount = {"hostPath": f"{tmp_path}/lib", "containerPath": "/lib/of-vendor", "options": ["ro"]}
    specify(
        cdi, "example.com/gpu", {"env": ["ALL=1"], "mounts": [mount]},
        a={"deviceNodes": [{"path": "/dev/gpu-a", "hostPath": "/dev/zero"}], "env": ["A=yes"]},
        b={"deviceNodes": [{"path": "/dev/gpu-b", "hostPath": "/dev/null"}]},
    )  # fmt: skip
    script = "echo $ALL $A; ls /dev/gpu-*; cat /lib/of-vendor; echo >> /lib/of-vendor || echo ro"
    one = ("--device", "example.com/gpu=a")
    assert rl.out(*RUN, *one, "busybox", "sh", "-c", script).split() == [
        "1", "yes", "/dev/gpu-a", "library", "ro",
    ]  # fmt: skip
    other = ("--device", "example.com/gpu=b")
    both = rl.out(*RUN, *one, *other, "busybox", "sh", "-c", "ls /dev/gpu-*")
    assert both.split() == ["/dev/gpu-a", "/dev/gpu-b"]
    line = rl.fails(*RUN, "--device", "example.com/gpu=c", "busybox", "true", code="RL-CDI")
    assert "example.com/gpu=a" in line and cdi in line
    name = rl.name()
    rl.run("create", "--name", name, *one, "busybox", "true")
    assert rl.inspect(name)["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["example.com/gpu=a"]


def test_gpus_are_cdi_devices_of_nvidia(rl: Rl, cdi: str) -> None:
    rl.fails(*RUN, "--gpus", "all", "busybox", "true", code="RL-CDI")
    with open(f"{cdi}/nvidia.yaml", "w") as file:
        file.write(
            "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n"
            "    deviceNodes:\n    - path: /dev/nvidia0\n      hostPath: /dev/zero\n"
            '- name: "0"\n  containerEdits:\n    deviceNodes:\n    - path: /dev/full0\n'
            "      hostPath: /dev/full\n"
        )
    assert rl.out(*RUN, "--gpus", "all", "busybox", "ls", "/dev/nvidia0") == "/dev/nvidia0"
    assert rl.out(*RUN, "--gpus", "1", "busybox", "ls", "/dev/full0") == "/dev/full0"
    rl.fails(*RUN, "--gpus", "device=7", "busybox", "true", code="RL-CDI")
    rl.fails(*RUN, "--gpus", "many", "busybox", "true", code="RL-USAGE")


def test_what_a_specification_cannot_have(rl: Rl, cdi: str, no_leftovers: None) -> None:
    device = ("--device", "example.com/x=a")
    hook = {"hookName": "createContainer", "path": "/usr/bin/hook"}
    specify(cdi, "example.com/x", {}, a={"hooks": [hook]})
    line = rl.fails(*RUN, *device, "busybox", "true", code="RL-CDI")
    assert "/usr/bin/hook" in line
    specify(cdi, "example.com/x", {}, a={"intelRdt": {"closID": "x"}})
    rl.fails(*RUN, *device, "busybox", "true", code="RL-CDI")
    specify(cdi, "example.com/x", {}, a={"deviceNodes": [{"path": "relative"}]})
    rl.fails(*RUN, *device, "busybox", "true", code="RL-BAD-DOCUMENT")
    with open(f"{cdi}/broken.yaml", "w") as file:
        file.write("kind: &a x\n")
    rl.fails(*RUN, *device, "busybox", "true", code="RL-BAD-DOCUMENT")
