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


# The same for the commands about images, from Docker's reference (28) and podman's pages (4.3, 5).
IMAGES = {
    "pull": "all-tags disable-content-trust platform quiet arch authfile cert-dir creds "
    "decryption-key os policy retry retry-delay tls-verify variant signature-policy",
    "push": "all-tags disable-content-trust platform quiet authfile cert-dir compress "
    "compression-format compression-level creds digestfile encrypt-layer encryption-key "
    "force-compression format remove-signatures retry retry-delay sign-by sign-by-sigstore "
    "sign-by-sigstore-private-key sign-passphrase-file signature-policy tls-verify",
    "login": "password password-stdin username authfile cert-dir compat-auth-file get-login "
    "secret tls-verify verbose",
    "logout": "all authfile compat-auth-file",
    "images": "all digests filter format no-trunc quiet tree history noheading sort",
    "rmi": "force no-prune platform all ignore",
    "save": "output platform compress format multi-image-archive quiet signature-policy "
    "uncompressed",
    "load": "input platform quiet signature-policy",
    "import": "change message platform arch os quiet signature-policy variant",
    "history": "format human no-trunc quiet platform",
    "search": "filter format limit no-trunc authfile cert-dir compatible creds list-tags "
    "tls-verify",
}


@pytest.mark.parametrize("command", sorted(IMAGES))
def test_each_option_about_images_is_declared_or_refused(command: str) -> None:
    for name in IMAGES[command].split():
        flag = f"--{name}"
        declared = flag in TABLE[command][2]
        refusal = refused.find(command, flag)
        assert declared != (refusal is not None), f"{flag}: {declared}, {refusal}"
        if refusal is not None:
            assert refusal.remedy and refusal.code in EXPLANATIONS


@pytest.mark.parametrize("name", sorted({*DOCKER, *PODMAN}))
def test_each_option_is_declared_or_refused(name: str) -> None:
    flag = f"--{name}"
    declared = flag in TABLE["run"][2]
    refusal = refused.find("run", flag)
    assert declared != (refusal is not None), f"{flag}: declared {declared}, refused {refusal}"
    if refusal is not None:
        assert refusal.remedy and refusal.code in EXPLANATIONS


@pytest.mark.parametrize("command", ["rmi", "image rm", "rl image remove"])
def test_every_name_of_a_command_refuses_alike(command: str) -> None:
    assert refused.find(command, "--all") is not None


def test_nothing_that_is_declared_is_refused() -> None:
    for command, rows in refused.REFUSED.items():
        assert not set(rows) & set(TABLE[command][2])
