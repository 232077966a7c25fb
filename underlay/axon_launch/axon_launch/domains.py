# SPDX-License-Identifier: Apache-2.0
"""A ROS domain of one's own: two runs on one machine that lock their domains never hear each other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

# Domain d uses UDP ports from 7400 + 250 d; above 101 these reach Linux's ephemeral ports. 0 is everybody's default.
_FIRST, _LAST = 1, 100
_FIRST_PORT, _PORTS_PER_DOMAIN = 7400, 250


def claim_domain(folder: Path | None = None) -> tuple[int, int]:
    """A ROS_DOMAIN_ID that no other claimer holds and nobody uses, and the descriptor whose lock says so.

    The lock lasts until every copy of the descriptor is closed, at the latest with the process. `folder` defaults to
    one in $TMPDIR. Raises RuntimeError where all domains are taken.
    """
    # The tests' helper (axon_ros.testing) locks the same files.
    folder = folder or Path(tempfile.gettempdir()) / f"axon-ros-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    used = _used_domains()
    count = _LAST - _FIRST + 1
    for offset in range(count):
        domain = _FIRST + (os.getpid() + offset) % count
        descriptor = None if domain in used else _try_lock(folder / str(domain))
        if descriptor is not None:
            return domain, descriptor
    raise RuntimeError(f"all ROS domains {_FIRST}..{_LAST} are taken, as the locks in {folder} say")


def _used_domains() -> set[int]:
    """Domains on whose UDP ports somebody listens: a ROS program that was given its domain by hand locks nothing."""
    ports: list[int] = []
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        if table.exists():
            ports += [int(line.split()[1].rpartition(":")[2], 16) for line in table.read_text().splitlines()[1:]]
    return {(port - _FIRST_PORT) // _PORTS_PER_DOMAIN for port in ports}


def _try_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
