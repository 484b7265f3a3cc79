# shellcheck shell=bash
# Sourced by the other scripts: creates the virtual environment and keeps it up to date.

root="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)"
venv="${GCODE2MQTT_VENV:-$root/.venv}"

# Python decodes the path of an editable installation with the locale's encoding, and the
# path of a checkout may contain any characters. musl has no "locale", and is always UTF-8.
if [ "$(locale charmap 2>/dev/null || echo UTF-8)" != UTF-8 ]; then
    export LC_ALL=C.UTF-8
fi

say() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# may_install: this user can install system packages without entering a password.
may_install() {
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_command NAME: the command that installs a package, if its manager is known.
install_command() {
    if command -v apt-get >/dev/null; then
        echo "apt-get install $1"
    elif command -v dnf >/dev/null; then
        echo "dnf install $1"
    elif command -v apk >/dev/null; then
        echo "apk add $1"
    elif command -v pacman >/dev/null; then
        echo "pacman -S $1"
    else
        echo "install the package $1"
    fi
}

# install_package NAME: with the system's package manager, if it is one that we know.
install_package() {
    local said
    say "installing $1 with the system's package manager"
    said="$(run_package_manager "$1" 2>&1)" || {
        printf '%s\n' "$said" >&2
        return 1
    }
}

run_package_manager() {
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq || say "the package lists could not be updated"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            -o Dpkg::Use-Pty=0 "$1"
    elif command -v dnf >/dev/null; then
        as_root dnf install -q -y "$1"
    elif command -v apk >/dev/null; then
        as_root apk add -q "$1"
    elif command -v pacman >/dev/null; then
        as_root pacman -S --noconfirm "$1"
    else
        echo "no known package manager"
        return 1
    fi
}

# python_version PYTHON: such as 3.11.2; fails where it cannot be run.
python_version() {
    "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null
}

# new_enough VERSION
new_enough() {
    [[ "$1" =~ ^3\.([0-9]+)\. ]] && [ "${BASH_REMATCH[1]}" -ge 11 ]
}

# find_python: PYTHON if it is set, otherwise the first interpreter that is new enough.
find_python() {
    local candidate version old=
    if [ -n "${PYTHON:-}" ]; then
        version="$(python_version "$PYTHON")" ||
            fail "PYTHON=$PYTHON cannot be run as Python; set it to another, or unset it"
        new_enough "$version" ||
            fail "PYTHON=$PYTHON is Python $version, and 3.11 or newer is needed"
        command -v "$PYTHON"
        return
    fi
    for candidate in python3 python3.{14,13,12,11}; do
        version="$(python_version "$candidate")" || continue
        if new_enough "$version"; then
            command -v "$candidate"
            return
        fi
        old="${old:-, and $(command -v "$candidate") is $version}"
    done
    if [ -n "$old" ]; then
        fail "Python 3.11 or newer is needed$old; set PYTHON=/path/to/a/newer/one"
    fi
    fail "Python 3.11 or newer is needed; as root: $(install_command python3)"
}

# in_the_way FOLDER: it is neither empty nor a virtual environment.
in_the_way() {
    [ -e "$1" ] && [ ! -e "$1/pyvenv.cfg" ] && [ -n "$(ls -A "$1" 2>&1)" ]
}

# may_write FOLDER: it is writable, or its closest existing parent is.
may_write() {
    local folder="$1"
    while [ ! -e "$folder" ]; do folder="$(dirname "$folder")"; done
    [ -w "$folder" ]
}

# make_venv PYTHON: Debian and its derivatives package the venv module separately.
make_venv() {
    local package said version
    in_the_way "$venv" &&
        fail "$venv is not a virtual environment, and not empty; choose another place with GCODE2MQTT_VENV=/path"
    may_write "$venv" ||
        fail "$venv cannot be written; choose another place with GCODE2MQTT_VENV=/path"
    if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        version="$(python_version "$1")"
        package="python${version%.*}-venv"
        if ! { command -v apt-get >/dev/null && may_install && install_package "$package"; }
        then
            fail "Python's venv module is incomplete; as root: apt-get install $package"
        fi
    fi
    said="$("$1" -m venv --clear "$venv" 2>&1)" || {
        printf '%s\n' "$said" >&2
        fail "$venv could not be created; see above"
    }
}

# usable_venv: the environment exists, its Python is new enough (and the one in PYTHON, if
# that is set), and its pip supports editable installations from a pyproject.toml (21.3).
usable_venv() {
    "$venv/bin/python" -c '
import sys, pip
pip_version = tuple(map(int, pip.__version__.split(".")[:2]))
sys.exit(sys.version_info < (3, 11) or pip_version < (21, 3))' 2>/dev/null &&
        { [ -z "${PYTHON:-}" ] || [ "$(real_python "$PYTHON")" = "$(real_python "$venv/bin/python")" ]; }
}

# every_python: version and path of each Python that is new enough: the system's own, those on
# the PATH, and pyenv's. One for each version; only PYTHON if it is set.
every_python() {
    local candidate version file seen=" "
    local pyenv="${PYENV_ROOT:-${HOME:-}/.pyenv}"
    if [ -n "${PYTHON:-}" ]; then
        candidate="$(find_python)" || return
        printf '%s %s\n' "$(python_version "$candidate")" "$(real_python "$candidate")"
        return
    fi
    for candidate in /usr/bin/python3 python3 $(compgen -c python3. | sort -Vu) \
        "$pyenv"/versions/*/bin/python3; do
        [[ "${candidate##*/}" =~ ^python3(\.[0-9]+)?$ ]] || continue
        version="$(python_version "$candidate")" || continue
        file="$(real_python "$candidate")"
        if new_enough "$version" && [[ "$seen" != *" $version "* ]]; then
            seen+="$version "
            printf '%s %s\n' "$version" "$file"
        fi
    done
}

# real_python PYTHON: the interpreter behind links, shims and virtual environments.
real_python() {
    "$1" -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null
}

# explain_pip OUTPUT: fail, with a single line if the reason is known.
explain_pip() {
    local offline='NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError'
    offline+='|Network is unreachable|Temporary failure in name resolution|Failed to resolve'
    if [[ "$1" =~ No\ space\ left ]]; then
        fail "the disk is full: $venv needs about 200 MB; choose another place with GCODE2MQTT_VENV=/path"
    elif [[ "$1" =~ Read-only\ file\ system|Permission\ denied ]]; then
        fail "$venv cannot be written; choose another place with GCODE2MQTT_VENV=/path"
    elif [[ "$1" =~ $offline ]]; then
        fail "the package index cannot be reached; the first run needs a network (pip's index and proxy settings apply)"
    fi
    printf '%s\n' "$1" >&2
    fail "the installation failed; see above"
}

# pip_install ARGUMENTS: into the environment.
pip_install() {
    local said status=0
    # Two retries instead of five: without a network, this fails sooner.
    local -x PIP_RETRIES="${PIP_RETRIES:-2}"
    # Not compiled: most of what is installed is never imported.
    said="$("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --no-compile "$@" 2>&1)" || status=$?
    [ "$status" -eq 0 ] || explain_pip "$said"
    [ -z "$said" ] || printf '%s\n' "$said" >&2
}

# keep_caches: development tools keep their caches in the environment, so that the checkout
# may be read-only and several Pythons do not interfere with each other.
keep_caches() {
    export RUFF_CACHE_DIR="$venv/cache/ruff"
    export MYPY_CACHE_DIR="$venv/cache/mypy"
    export COVERAGE_FILE="$venv/cache/coverage"
    export HYPOTHESIS_STORAGE_DIRECTORY="$venv/cache/hypothesis"
    # Bytecode too, whatever the surroundings say about writing it: a test that starts the
    # program would otherwise compile all of it and of its libraries, each time.
    unset PYTHONDONTWRITEBYTECODE
    export PYTHONPYCACHEPREFIX="$venv/cache/bytecode"
    mkdir -p "$venv/cache"
}

# locked PYTHON: use the lock files; they cover this Python. GCODE2MQTT_LOCK=no installs the
# newest versions that pyproject.toml allows instead.
locked() {
    [ "${GCODE2MQTT_LOCK:-yes}" != no ] && [[ "$(python_version "$1")" =~ ^3\.1[1-4]\. ]]
}

# install_everything WHAT: the dependencies, and the package itself in editable mode.
install_everything() {
    local extras="demo"
    [ "$1" = demo ] || extras="demo,$1"
    if locked "$venv/bin/python"; then
        pip_install --require-hashes --requirement "$root/requirements/$1.txt"
        pip_install --no-deps --no-build-isolation --editable "$root"
    else
        pip_install --editable "${root}[$extras]"
    fi
}

# fingerprint WHAT: everything that an environment depends on.
fingerprint() {
    local version
    version="$(python_version "$venv/bin/python")" || return
    printf '%s %s %s %s %s' "$root" "$1" "$version" "${GCODE2MQTT_LOCK:-}" \
        "$(cat "$root/pyproject.toml" "$root/requirements/"*.txt | cksum)"
}

# is_current WHAT: the environment is up to date. One for development also serves the demo.
is_current() {
    local what
    for what in "$1" dev; do
        if [ -s "$venv/installed-$what" ] &&
            [ "$(cat "$venv/installed-$what")" = "$(fingerprint "$what")" ]; then
            [ -z "${PYTHON:-}" ] || usable_venv
            return
        fi
    done
    return 1
}

# ensure_environment WHAT: install the package for "demo" or "dev". What was installed is
# recorded, so that the next start costs nothing.
ensure_environment() {
    local python said
    ! is_current "$1" || return 0
    python="$(find_python)" || exit 1
    say "preparing $venv (once; this can take a minute)"
    usable_venv || make_venv "$python"
    may_write "$venv" ||
        fail "$venv cannot be written; choose another place with GCODE2MQTT_VENV=/path"
    rm -f "$venv"/installed-*
    install_everything "$1"
    said="$("$venv/bin/gcode2mqtt" --version 2>&1)" || {
        printf '%s\n' "$said" >&2
        fail "programs in $venv cannot be executed (is it mounted noexec?); choose another place with GCODE2MQTT_VENV=/path"
    }
    fingerprint "$1" >"$venv/installed-$1"
}
