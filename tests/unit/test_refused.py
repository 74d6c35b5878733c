"""Every option that Docker and podman document for run is known: declared, or refused in words."""

import pytest

from rootless.cli import refused
from rootless.cli._table import TABLE
from rootless.cli.explanations import EXPLANATIONS

# docs.docker.com/reference/cli/docker/container/run, of version 28.
DOCKER = """
add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns
cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus
cpuset-cpus cpuset-mems detach detach-keys device device-cgroup-rule device-read-bps
device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-option dns-opt
dns-search domainname entrypoint env env-file expose gpus group-add
hostname init interactive
io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link link-local-ip
log-driver log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount name
net network network-alias no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform
privileged publish publish-all pull quiet read-only restart rm runtime security-opt shm-size
sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user userns
uts volume volume-driver volumes-from workdir health-cmd health-interval health-retries
health-start-interval health-start-period health-timeout
""".split()
# podman-run(1), what Docker has not.
PODMAN = """
arch authfile cert-dir cgroup-conf cgroups chrootdirs conmon-pidfile creds decryption-key env-host
env-merge gidmap group-entry gpus health-log-destination health-max-log-count health-max-log-size
health-on-failure health-startup-cmd health-startup-interval health-startup-retries
health-startup-success health-startup-timeout hosts-file hostuser http-proxy image-volume init-ctr
init-path no-hostname no-hosts os passwd passwd-entry personality pod pod-id-file
preserve-fd preserve-fds rdt-class replace requires retry retry-delay rmi rootfs sdnotify
seccomp-policy secret shm-size-systemd subgidname subuidname systemd tls-verify tz uidmap
umask unsetenv unsetenv-all variant pidfile timeout
""".split()


@pytest.mark.parametrize("name", sorted({*DOCKER, *PODMAN}))
def test_each_option_is_declared_or_refused(name: str) -> None:
    flag = f"--{name}"
    declared = flag in TABLE["run"][2]
    refusal = refused.find("run", flag)
    assert declared != (refusal is not None), f"{flag}: declared {declared}, refused {refusal}"
    if refusal is not None:
        assert refusal.remedy and refusal.code in EXPLANATIONS


def test_nothing_that_is_declared_is_refused() -> None:
    for command, rows in refused.REFUSED.items():
        assert not set(rows) & set(TABLE[command][2])
