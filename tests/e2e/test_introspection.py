"""What a default container finds out about itself, beside a recorded answer.

The questions are those of tools that look for ways out: capabilities, seccomp, no_new_privs,
namespaces, masked paths, mounts that can be written to, devices, descriptors, what is blocked.
The files in /etc are mounted as their store is.  A change of the record is a change of what
containers may do: docs/security.md tells of it.
"""

import json
import os

import pytest
from support.program import Rl

RECORD = f"{os.path.dirname(__file__)}/../data/hostile/introspection.json"
QUESTIONS = r"""
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
echo "capabilities: $(status CapEff) $(status CapBnd) $(status CapAmb)"
echo "seccomp: $(status Seccomp)"
echo "no new privileges: $(status NoNewPrivs)"
echo "first id: $(awk '{print $1; exit}' /proc/self/uid_map)"
echo "set groups: $(cat /proc/self/setgroups)"
echo "init: $(cat /proc/1/comm)"
for path in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/interrupts \
    /proc/acpi /proc/scsi /sys/firmware; do
    [ -e $path ] || continue
    [ -z "$(ls -A $path/ 2>/dev/null; head -c 1 $path 2>/dev/null)" ] || echo "not masked: $path"
done
for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq /proc/bus /sys \
    /sys/fs/cgroup; do
    [ -e $path ] || continue
    if [ -d $path ]; then touch $path/x; else true >$path; fi 2>/dev/null && echo "writable: $path"
done
echo "devices: $(find /dev -type b -o -type c | sort | tr '\n' ' ')"
mounts() { awk "\$4 $1 && \$2 !~ \"^/proc/\" {print \$2}" /proc/mounts | sort -u | tr '\n' ' '; }
echo "writable file systems: $(mounts '~ /^rw/')"
echo "set-ID honoured: $(mounts '!~ /nosuid/ && $2 !~ "^/etc/"')"
mount -t tmpfs none /mnt 2>/dev/null && echo "can mount"
unshare -U true 2>/dev/null && echo "can make user namespaces"
mknod /tmp/sda b 8 0 2>/dev/null && echo "can make devices"
hostname other 2>/dev/null && echo "can set the host name"
dmesg >/dev/null 2>&1 && echo "can read the kernel's log"
nice -n -5 true 2>/dev/null && echo "can raise its priority"
chroot / true 2>/dev/null && echo "can change its root"
ls /proc/1/root/home/* >/dev/null 2>&1 && echo "sees homes"
true
"""


@pytest.mark.needs("subids")
def test_a_default_container_is_what_was_recorded(rl: Rl) -> None:
    run = ["run", "--rm", "--network", "none", "busybox", "sh", "-c", QUESTIONS]
    with open(RECORD) as file:
        record = json.load(file)
    assert rl.out(*run).split("\n") == record


def test_namespaces_are_its_own_but_time(rl: Rl) -> None:
    look = "cd /proc/self/ns && for n in *; do echo $n $(readlink $n); done"
    lines = rl.out("run", "--rm", "--network", "none", "busybox", "sh", "-c", look).split("\n")
    shared = {
        name for name, link in (line.split() for line in lines)
        if os.path.exists(f"/proc/self/ns/{name}") and os.readlink(f"/proc/self/ns/{name}") == link
    }  # fmt: skip
    assert shared <= {"time", "time_for_children"}
