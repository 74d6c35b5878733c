"""What `rl explain CODE` says of boot, logout and quadlets: code -> (title, text)."""

BOOT: dict[str, tuple[str, str]] = {
    "RL-BOOT-NO-SYSTEMD": (
        "There is no systemd that could start anything at boot",
        "Without root only systemd and cron start something of yours at boot. Where there is no "
        "systemd, the line that the message shows, in your crontab, starts what --restart "
        "promises and the quadlets with an [Install] section.",
    ),
    "RL-BOOT-NO-BUS": (
        "Your own systemd does not answer",
        "Each user has a systemd of their own (user@UID.service), which begins with a login by ssh "
        "or on a console, and not with su or sudo. With linger it is there from boot on: an admin "
        "runs loginctl enable-linger USER once.",
    ),
    "RL-BOOT-NO-LINGER": (
        "Your systemd does not start at boot",
        "Without linger your own systemd starts with your first session and ends with the last: "
        "what it has started is stopped at logout. Most hosts let users ask for linger themselves; "
        "this one does not. An admin runs once: loginctl enable-linger USER. Everything else of "
        "rl system autostart enable has been done.",
    ),
    "RL-BOOT-SYSTEMCTL": (
        "systemd could not do it",
        "systemctl --user was asked and failed, for the reason that the message gives. `systemctl "
        "--user status UNIT` and `journalctl --user -u UNIT` show more; a container that could not "
        "be started says there why.",
    ),
    "RL-BOOT-CONTAINER": (
        "There can be no unit for this container",
        "A container with --rm is gone after its end, and one with --restart is started again by "
        "its own supervisor: systemd would be the second to do so. --new writes a unit that makes "
        "the container anew at each start, from what rl run was asked for.",
    ),
    "RL-QUADLET": (
        "A quadlet file makes no sense",
        "The message names file and line. The files are those of podman-systemd.unit(5): the keys "
        "that rl reads are in docs/boot.md. Nothing was installed.",
    ),
    "RL-QUADLET-FILE": (
        "A quadlet file cannot be read",
        "It is not there, or is not yours to read.",
    ),
    "RL-QUADLET-REFERENCE": (
        "A quadlet names another one that is not there",
        "Volume=data.volume, Image=app.build, Network=x.network and the unit names in [Unit] refer "
        "to other quadlets. They are installed already, or together: rl quadlet install DIR.",
    ),
    "RL-QUADLET-CYCLE": (
        "Quadlets wait for each other",
        "Requires=, Wants=, After= and what a container uses say what is started first; here that "
        "goes round in a circle.",
    ),
    "RL-QUADLET-NO-SYSTEMD": (
        "A quadlet asks for what systemd alone does",
        "Without your own systemd rl starts quadlets itself. It keeps Restart=no, always and "
        "on-failure, and knows the specifiers of systemd.unit(5) but those of credentials and "
        "control groups; it runs no other programs (ExecStartPre= and its like).",
    ),
    "RL-QUADLET-RUN": (
        "A quadlet could not be started or stopped",
        "The command of rl that was to do it has ended without saying why.",
    ),
    "RL-QUADLET-UNHEALTHY": (
        "A quadlet's container did not become healthy",
        "Notify=healthy makes the start wait for the health check. The container has ended, or was "
        "not healthy within TimeoutStartSec= of [Service] (900 s without one); it was stopped, and "
        "is there to be looked at.",
    ),
    "RL-QUADLET-TEMPLATE": (
        "A template is no unit by itself",
        "NAME@.container is a pattern: NAME@1 and NAME@two are instances of it, with %i for what "
        "is after the @.",
    ),
    "RL-QUADLET-NOT-FOUND": (
        "No such quadlet is installed",
        "`rl quadlet list` shows those that are. Files are read by rl quadlet install alone: after "
        "a change, install them again with --replace.",
    ),
    "RL-QUADLET-EXISTS": (
        "A quadlet of that name is installed",
        "--replace takes the new one. What runs goes on as it was until it is started again.",
    ),
    "RL-QUADLET-UNIT-TAKEN": (
        "There is another unit of that name",
        "Quadlets become units in ~/.config/systemd/user. One of this name is there that rl did "
        "not make, and it is not overwritten.",
    ),
    "RL-QUADLET-IN-USE": (
        "Another quadlet needs it",
        "Remove both in one command, or change the other one first.",
    ),
    "RL-QUADLET-RUNNING": (
        "The quadlet's container is running",
        "Stop it first, or let --force do it.",
    ),
}
