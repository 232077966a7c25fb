#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What this workspace needs from the operating system (requirements/apt.txt).
#
#   system_packages.sh missing    print the Debian packages that provide what is missing here, one a line
#   system_packages.sh install    install them with apt as root or through sudo, else print the command and fail
#
# Capabilities are looked for, not packages: a Python from pyenv or a CMake from source serves as well.
set -euo pipefail
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$HERE/find_python.sh"

# Not grep -q: it stops reading at the first match, and under pipefail ldconfig's broken pipe would count as "missing".
has_library() { PATH="$PATH:/sbin" ldconfig -p | grep -F "$1" >/dev/null; }

has_python_headers() {
    local python include
    python="$(find_python)" || return 1
    include="$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')"
    [ -f "$include/Python.h" ]
}

has_python_venv() {
    local python
    python="$(find_python)" && "$python" -c 'import ensurepip, venv' 2>/dev/null
}

has_mesa_driver() {
    local library
    for library in /usr/lib/*/dri/swrast_dri.so /usr/lib/*/libgallium-*.so /usr/lib*/dri/swrast_dri.so; do
        [ -e "$library" ] && return 0
    done
    return 1
}

provided() {
    case "$1" in
        python) find_python >/dev/null ;;
        python-venv) has_python_venv ;;
        python-dev) has_python_headers ;;
        cmake) command -v cmake >/dev/null ;;
        make) command -v make >/dev/null ;;
        c++) command -v c++ >/dev/null || command -v g++ >/dev/null ;;
        egl) has_library libEGL.so.1 ;;
        gles) has_library libGLESv2.so.2 ;;
        dri) has_mesa_driver ;;
        *) echo "requirements/apt.txt: nothing knows how to look for '$1'" >&2; return 2 ;;
    esac
}

missing() {
    local capability package
    while read -r capability package; do
        case "$capability" in '' | '#'*) continue ;; esac
        provided "$capability" || echo "$package"
    done < "$HERE/../requirements/apt.txt"
}

install() {
    local packages apt
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "axon: needs what Debian calls ${packages[*]}; install these with this system's package manager" >&2
        return 1
    fi
    apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
            echo "axon: these system packages are missing; as root, run:" >&2
            echo "    apt-get update && apt-get install -y --no-install-recommends ${packages[*]}" >&2
            return 1
        fi
        apt=(sudo "${apt[@]}")
    fi
    echo "axon: installing ${packages[*]}"
    "${apt[@]}" update -q >/dev/null
    "${apt[@]}" install -q -y --no-install-recommends "${packages[@]}" >/dev/null
}

case "${1:-}" in
    missing) missing ;;
    install) install ;;
    *) echo "usage: system_packages.sh missing|install" >&2; exit 2 ;;
esac
