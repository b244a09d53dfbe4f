#!/usr/bin/env bash
# Makes .venv and fills it from a lock. Safe to run again: what is in place is left alone.
#
#   deploy/setup.sh runtime    what the server needs
#   deploy/setup.sh dev        and what the tests and checks need
#   deploy/setup.sh browser    a Chromium, oathtool, curl and npm for the tests, after dev
#
# PYTHON names the Python to use; without it, the first of 3.11 or newer is taken.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV="$PWD/.venv"
readonly VENV_PYTHON="$VENV/bin/python"

say() { printf '%s\n' "$*" >&2; }

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

main() {
    case "${1:-}" in
        runtime) install deploy/requirements.lock deploy/requirements-dev.lock ;;
        dev) install deploy/requirements-dev.lock ;;
        browser)
            "$VENV_PYTHON" tests/browser/chromium.py
            "$VENV_PYTHON" tests/browser/packages.py
            ;;
        *) die "usage: deploy/setup.sh runtime|dev|browser" ;;
    esac
}

# install LOCK [SUPERSET]: nothing is done if either is what .venv was filled from.
install() {
    venv_usable || make_venv
    local lock
    for lock in "$@"; do
        if stamped packages "$lock"; then
            install_ourselves
            return
        fi
    done
    install_packages "$1"
    stamp packages "$1"
    install_ourselves
}

venv_usable() {
    suitable "$VENV_PYTHON" && "$VENV_PYTHON" -c 'import pip' 2>/dev/null &&
        # Scripts name their Python by its full path: a moved checkout needs a new .venv.
        grep -qF "$VENV" "$VENV/bin/pip" &&
        { [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version "$VENV_PYTHON")" ]; }
}

make_venv() {
    local python
    python="$(find_python)"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || provide_venv_module "$python"
    say "Making .venv with $python"
    "$python" -m venv --clear "$VENV"
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suitable "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.11 or newer."
        real "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if suitable "$candidate"; then
            real "$candidate"
            return
        fi
    done
    if can_apt && apt_install python3 python3-venv && suitable /usr/bin/python3; then
        real /usr/bin/python3
        return
    fi
    die "Gatehouse needs Python 3.11 or newer, and none was found. Install one:" \
        "$(to_type "python3 python3-venv" python@3.13)" \
        "or name one: make setup PYTHON=/path/to/python3.11"
}

suitable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

version() {
    "$1" -c 'import sys; print(sys.version)' 2>/dev/null
}

# The executable behind a shim or a virtual environment, which may change or go away.
real() {
    "$1" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)'
}

# Debian keeps the venv module in a package of its own.
provide_venv_module() {
    local package
    package="$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    if can_apt; then
        apt_install "$package" || die "apt-get could not install $package."
    else
        die "$1 cannot make virtual environments. Type this, then run make again:" \
            "$(to_type "$package" python@3.13)"
    fi
}

# to_type DEBIAN_PACKAGES HOMEBREW_PACKAGE
to_type() {
    if [ "$(uname)" = Darwin ]; then
        printf '\n    brew install %s\n ' "$2"
    else
        printf '\n    sudo apt-get install %s\n ' "$1"
    fi
}

can_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

apt_install() {
    say "Installing $* from Debian's packages"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "$@" >&2 ||
        { apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends "$@" >&2; }
}

# setuptools goes first: a package that comes as source is then built with the locked one, not
# with one that pip would fetch for the build without asking for a hash. The lock is whole, so pip
# follows no dependencies: where one names an extra, older ones look past the pin for a newer release.
install_packages() {
    say "Installing $1"
    local first
    first="$(mktemp)"
    awk '/^[^ #]/ { wanted = /^setuptools==/ } wanted' "$1" >"$first"
    pip_install --no-deps --require-hashes -r "$first"
    rm -f "$first"
    pip_install --no-deps --require-hashes --no-build-isolation --use-pep517 -r "$1"
}

install_ourselves() {
    stamped gatehouse pyproject.toml deploy/requirements.in && return
    pip_install --no-deps --no-build-isolation -e .
    stamp gatehouse pyproject.toml deploy/requirements.in
}

pip_install() {
    "$VENV_PYTHON" -m pip --disable-pip-version-check install --quiet "$@"
}

# A stamp in .venv is a copy of the files that something was installed from.
stamped() {
    local name="$1"
    shift
    cat "$@" | cmp -s - "$VENV/.installed-$name"
}

stamp() {
    local name="$1"
    shift
    cat "$@" >"$VENV/.installed-$name"
}

main "$@"
