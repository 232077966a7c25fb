# SPDX-License-Identifier: Apache-2.0
"""The status that every node publishes on /diagnostics once a second."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from axon_core.timing import TimingSummary
from axon_ros.inputs import Input
from axon_ros.outputs import Output
from axon_ros.speaker import Level
from axon_ros.worker import Worker

TOPIC = "/diagnostics"


@dataclass(frozen=True)
class ModelInfo:
    """The network that a node runs; dashes where it runs none."""

    name: str = "-"
    version: str = "-"
    sha256: str = "-"
    device: str = "-"


def status(name: str, level: Level, message: str, values: dict[str, str]) -> DiagnosticStatus:
    """Return one node's status, its hardware named by the host."""
    return DiagnosticStatus(
        level=bytes([level]),
        name=name,
        message=message,
        hardware_id=socket.gethostname(),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def array_of(stamp: Any, one: DiagnosticStatus) -> DiagnosticArray:
    """Return the message with that one status."""
    message = DiagnosticArray(status=[one])
    message.header.stamp = stamp
    return message


def traffic(inputs: Sequence[Input], outputs: Sequence[Output], workers: Sequence[Worker]) -> dict[str, str]:
    """Return rates, latency, drops, age and refusals, of the whole node and then of each topic."""
    timing = slowest([worker.latency.summary() for worker in workers] or [i.latency.summary() for i in inputs])
    ages = [i.meter.age_s for i in inputs if i.meter.count]
    values = {
        "rate_in_hz": f"{sum(i.meter.rate_hz for i in inputs):.2f}",
        "rate_out_hz": f"{sum(o.meter.rate_hz for o in outputs):.2f}",
        "latency_p50_ms": f"{1e3 * timing.p50_s:.2f}",
        "latency_p95_ms": f"{1e3 * timing.p95_s:.2f}",
        "drops": str(sum(worker.drops for worker in workers)),
        "input_age_s": f"{min(ages):.2f}" if ages else "-",
        "refused": str(sum(i.refused for i in inputs)),
        "not_published": str(sum(o.failed for o in outputs)),
    }
    for i in inputs:
        age = f"{i.meter.age_s:.2f} s ago" if i.meter.count else "never"
        counts = f"{i.meter.count} received, {i.refused} refused"
        values[f"in {i.topic}"] = f"{i.meter.rate_hz:.2f} Hz, last {age}, {counts}{'' if i.required else ', optional'}"
    for o in outputs:
        values[f"out {o.topic}"] = f"{o.meter.rate_hz:.2f} Hz, {o.meter.count} sent, {o.readers} reader(s)"
    return values


def slowest(summaries: Sequence[TimingSummary]) -> TimingSummary:
    """Return the summary with the largest 95th percentile."""
    return max(summaries, key=lambda summary: summary.p95_s, default=TimingSummary())


class CpuMeter:
    """CPU time of this process."""

    def __init__(self) -> None:
        self._last = (time.monotonic(), time.process_time())

    def values(self) -> dict[str, str]:
        """Return the CPU seconds so far, and the load since the last call in percent of one core."""
        (then, used_then), (now, used) = self._last, (time.monotonic(), time.process_time())
        self._last = (now, used)
        return {"cpu_s": f"{used:.2f}", "cpu_percent": f"{100.0 * (used - used_then) / max(now - then, 1e-3):.1f}"}
