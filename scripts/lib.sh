# What scripts/quickstart, scripts/test and scripts/bench share.  Sourced by bash; $ROOT is the
# checkout.  Needs nothing but Debian's essential packages.
# shellcheck shell=bash

# The user's Python must be one that every user can run: root's own may be in /root.
PYTHON=/usr/bin/python3

say() { printf '==> %s\n' "$*"; }
warn() { printf 'Warning: %s\n' "$*" >&2; }
die() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

# have PROGRAM...: whether all are installed.  Ordinary users have no sbin in their PATH.
have() {
    local name
    for name in "$@"; do
        PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$name" >/dev/null 2>&1 || return 1
    done
}

# missing_packages PROGRAM=PACKAGE...: the packages of those programs that are not installed.
# A PROGRAM that begins with / is a file; "python:MODULE" is a module of $PYTHON.
missing_packages() {
    local pair name package
    for pair in "$@"; do
        name=${pair%%=*} package=${pair#*=}
        case $name in
        /*) [ -e "$name" ] && continue ;;
        python:*) "$PYTHON" -c "import ${name#python:}" 2>/dev/null && continue ;;
        *) have "$name" && continue ;;
        esac
        printf '%s\n' "$package"
    done | sort -u
}

# as_root COMMAND...: run it as root if that is possible without asking anybody.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n -- "$@"
    fi
}

can_be_root() { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }

# install_packages PACKAGE...: with apt; the status says whether all are there.
install_packages() {
    [ $# -gt 0 ] || return 0
    have apt-get || return 1
    can_be_root || return 1
    say "Installing $*"
    if [ -z "${APT_UPDATED-}" ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update ||
            warn "apt-get update failed; trying with the lists that are there"
        APT_UPDATED=1
    fi
    # One failing package must not keep the others out: first all together, then one by one.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        "$@" >/dev/null </dev/null && return 0
    local package status=0
    for package in "$@"; do
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
            --no-install-recommends "$package" >/dev/null </dev/null || {
            warn "could not install $package"
            status=1
        }
    done
    return $status
}

# make_user NAME: an ordinary user with subordinate IDs.  Root only.
make_user() {
    local user=$1 first
    id "$user" >/dev/null 2>&1 || {
        say "Making the user $user"
        useradd --create-home --shell /bin/bash "$user"
    }
    if ! grep -q "^$user:" /etc/subuid 2>/dev/null || ! grep -q "^$user:" /etc/subgid 2>/dev/null
    then
        # After the last range of either file, so that two users never share an ID.
        first=$(cat /etc/subuid /etc/subgid 2>/dev/null |
            awk -F: 'BEGIN { m = 100000 } $2 + $3 > m { m = $2 + $3 } END { print m }')
        say "Giving $user the subordinate IDs $first-$((first + 65535))"
        touch /etc/subuid /etc/subgid
        usermod --add-subuids "$first-$((first + 65535))" \
            --add-subgids "$first-$((first + 65535))" "$user"
    fi
}

# open_devices: /dev/fuse and /dev/net/tun for everybody, as udev does.  Root only.
open_devices() {
    modprobe -q fuse 2>/dev/null || true
    modprobe -q tun 2>/dev/null || true
    modprobe -q overlay 2>/dev/null || true
    [ -e /dev/fuse ] || mknod /dev/fuse c 10 229 || true
    mkdir -p /dev/net
    [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200 || true
    chmod 0666 /dev/fuse /dev/net/tun || warn "cannot make /dev/fuse and /dev/net/tun usable"
}

# allow_user_namespaces: undo the usual ways to forbid them.  Root only; says what it does.
allow_user_namespaces() {
    local setting wanted
    for setting in kernel/unprivileged_userns_clone=1 user/max_user_namespaces=15000 \
        kernel/apparmor_restrict_unprivileged_userns=0; do
        wanted=${setting#*=} setting=/proc/sys/${setting%=*}
        [ -e "$setting" ] || continue
        case $(cat "$setting")/$setting in
        0/*userns_clone | 0/*max_user_namespaces | 1/*apparmor_restrict*)
            say "Setting $setting to $wanted, until the next boot"
            echo "$wanted" >"$setting" || warn "cannot set $setting"
            ;;
        esac
    done
}

# readable_for USER DIRECTORY: whether USER can read all of a checkout.
readable_for() {
    local unreadable
    unreadable=$(runuser -u "$1" -- find "$2" -path "$2/.git" -prune -o -path "$2/.venv" -prune \
        -o ! -readable -print -quit 2>&1) && [ -z "$unreadable" ]
}

# copy_checkout FROM TO: the tree without what is made from it.
copy_checkout() {
    mkdir -p "$2"
    # tar ends with 1 when something was written to a directory meanwhile, as bytecode is.
    { tar -C "$1" --exclude=./.git --exclude=./.venv --exclude='./.*_cache' \
        --exclude=__pycache__ -cf - . || [ $? = 1 ]; } | tar -C "$2" --no-same-owner -xf -
    chmod -R u+rwX,go+rX,go-w "$2"
}

# make_venv DIRECTORY KEYS PIP-ARGUMENTS...: a virtual environment with these packages.
# The first of KEYS names what it was made from: one that has this key is used as it is.  The
# others name environments that it can stand in for.
make_venv() {
    local directory=$1 keys=$2
    shift 2
    if grep -qsw "${keys%% *}" "$directory/.rl-key" && [ -x "$directory/bin/python" ]; then
        return 0
    fi
    say "Making the virtual environment $directory"
    rm -f "$directory/.rl-key"
    # An interrupted venv has no pip, and one for another Python is of no use.
    "$directory/bin/python" -m pip --version >/dev/null 2>&1 || rm -rf "$directory"
    [ -x "$directory/bin/python" ] || "$PYTHON" -m venv "$directory"
    # New pips write entry scripts that do not import re: rl starts 5 ms earlier.
    "$directory/bin/python" -m pip install -qq --disable-pip-version-check --upgrade pip
    "$directory/bin/python" -m pip install -qq --disable-pip-version-check "$@"
    printf '%s\n' "$keys" >"$directory/.rl-key"
}

# key_of CHECKOUT WORD...: what an environment made of this checkout depends on.
key_of() {
    local checkout=$1
    shift
    {
        printf '%s\n' "$@" "$("$PYTHON" -V 2>&1)"
        cat "$checkout/pyproject.toml" "$checkout/constraints.txt"
    } | sha256sum | cut -c1-64
}
