"""Limits of block devices as cgroup v2 has them: io.max and io.weight, by device numbers.

cgroup-v2.rst ("IO Interface Files") · sysfs(5): a partition has a directory below its disk's, and
the kernel limits whole disks alone.
"""

import os
import stat

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = {
    "device_read_bps": "rbps", "device_write_bps": "wbps",
    "device_read_iops": "riops", "device_write_iops": "wiops",
}  # fmt: skip


def settings(resources: "Mapping[str, object]") -> dict[str, str]:
    """File -> lines of the limits of --blkio-weight, --device-read-bps, ….  Raises UsageError."""
    found: dict[str, str] = {}
    weight = resources.get("blkio_weight")
    if isinstance(weight, int) and weight:
        found["io.weight"] = str(weight)  # 100 is what has none, here and with Docker's BFQ
    weights = resources.get("blkio_weight_device") or {}
    assert isinstance(weights, dict)
    lines = [f"{number(path, 'blkio_weight_device')} {value}" for path, value in weights.items()]
    if lines:
        found["io.bfq.weight"] = "\n".join(lines)
    devices: dict[str, list[str]] = {}
    for name, key in _KEYS.items():
        rates = resources.get(name) or {}
        assert isinstance(rates, dict)
        for path, rate in rates.items():
            devices.setdefault(number(path, name), []).append(f"{key}={rate or 'max'}")
    if devices:
        found["io.max"] = "\n".join(f"{one} {' '.join(keys)}" for one, keys in devices.items())
    return found


def number(path: str, name: str) -> str:
    """ "254:0" of a block device, or of the disk that it is a partition of."""
    option = "--" + name.replace("_", "-")
    try:
        status = os.stat(path)
    except OSError as e:
        raise UsageError(
            f"{option}: cannot look at {path}: {e.strerror}", remedy="name a device, as /dev/sda"
        ) from None
    if not stat.S_ISBLK(status.st_mode):
        raise UsageError(f"{option}: {path} is no block device", remedy="name a disk, as /dev/sda")
    found = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if os.path.exists(f"/sys/dev/block/{found}/partition"):
        with open(f"/sys/dev/block/{found}/../dev") as file:
            found = file.read().strip()
    return found
