# SPDX-License-Identifier: Apache-2.0
# Sourced. find_python prints the first usable Python: 3.10 to 3.12, for which every pinned package has a wheel.

find_python() {
    local candidate
    for candidate in ${AXON_PYTHON:+"$AXON_PYTHON"} python3 python3.12 python3.11 python3.10; do
        candidate="$(command -v "$candidate" 2>/dev/null)" || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}
