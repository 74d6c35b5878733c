"""Why this host refused something: imported after a failure, never before.

Each `explain_*` function reads /proc, /sys and /etc below `root` (tests give a made-up tree) and
returns the error to raise: what could not be done and why, what the user can do (`.remedy`), and
the text for an administrator to paste (`.admin`, "" where an administrator cannot help).
"""

from rootless.linux.hostneeds import (
    explain_fuse_failure,
    explain_idmap_failure,
    explain_overlay_failure,
    explain_store,
    explain_subordinate_ids,
    explain_tun_failure,
)
from rootless.linux.hostread import HostProblem
from rootless.linux.hostuserns import explain_user_namespace_failure

__all__ = [
    "HostProblem",
    "explain_fuse_failure",
    "explain_idmap_failure",
    "explain_overlay_failure",
    "explain_store",
    "explain_subordinate_ids",
    "explain_tun_failure",
    "explain_user_namespace_failure",
]
