# shellcheck shell=bash
# Sourced by the other scripts: makes the virtual environment and keeps it up to date.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${GCODE2MQTT_VENV:-$root/.venv}"

say() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# may_install: this user may install system packages without being asked anything.
may_install() {
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_package NAME: by the system's package manager, where there is a known one.
install_package() {
    say "installing $1 with the system's package manager"
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq >&2 || say "the package lists are not up to date"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$1" >&2
    elif command -v dnf >/dev/null; then
        as_root dnf install -q -y "$1" >&2
    elif command -v apk >/dev/null; then
        as_root apk add -q "$1" >&2
    elif command -v pacman >/dev/null; then
        as_root pacman -S --noconfirm "$1" >&2
    else
        return 1
    fi
}

# find_python: the first interpreter that is new enough.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.{14,13,12,11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; install it, or name it with PYTHON=/path/to/it"
}

# make_venv PYTHON: Debian and its kin ship Python without what makes environments.
make_venv() {
    local package
    if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
        if ! { command -v apt-get >/dev/null && may_install && install_package "$package"; }
        then
            fail "Python's venv module is not complete; as root: apt-get install $package"
        fi
    fi
    "$1" -m venv --clear "$venv" || fail "$venv could not be made"
}

# ensure_environment EXTRAS: the environment has the package with these extras. What was
# installed is noted, so that the next start costs nothing.
ensure_environment() {
    local python wanted note
    python="$(find_python)" || exit 1
    wanted="$root $1 $(cksum <"$root/pyproject.toml")"
    note="$venv/installed-$1"
    if "$venv/bin/python" -c '' 2>/dev/null && [ "$(cat "$note" 2>/dev/null)" = "$wanted" ]
    then
        return
    fi
    say "preparing $venv (once; this can take a minute)"
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv "$python"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable "${root}[$1]" >&2 || fail "the installation failed; see above"
    printf '%s\n' "$wanted" >"$note"
}
