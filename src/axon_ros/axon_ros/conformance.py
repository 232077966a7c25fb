# SPDX-License-Identifier: Apache-2.0
"""Does a node keep the promises that every skill node makes? Asked from outside, of its real process.

    violations = examine([".../planner_node"])

The node is started several times, in a namespace and a ROS domain of its own; each check adds what it finds under
the name of the promise. No violations: an empty dict.
"""

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import ParameterDescriptor, ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from axon_ros.bad_inputs import FRAMES, bad, good
from axon_ros.conversions import header
from axon_ros.qos import LATCHED, RESULT
from axon_ros.stamps import stamp_of, stamp_seconds
from axon_ros.testing import Process, process, ros, spin_until

NAMESPACE = "/conformance"
DIAGNOSTIC_KEYS = {
    *("state", "rate_in_hz", "rate_out_hz", "latency_p50_ms", "latency_p95_ms", "drops", "refused", "not_published"),
    *("input_age_s", "unexpected_errors", "model", "model_version", "model_sha256", "device", "cpu_s"),
}
_GLOBAL_TOPICS = {"/tf", "/tf_static", "/clock", "/diagnostics", "/rosout", "/parameter_events"}
_OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides")
_START_S, _CONFIGURE_S, _REFUSAL_S, _END_S = 30.0, 60.0, 3.0, 6.0
_NUMBERS = {
    ParameterType.PARAMETER_INTEGER: int,
    ParameterType.PARAMETER_DOUBLE: float,
    ParameterType.PARAMETER_INTEGER_ARRAY: int,
    ParameterType.PARAMETER_DOUBLE_ARRAY: float,
}
_Violations = dict[str, str]


class Examination:
    """One life of a node's process, seen by a tester in the same domain."""

    def __init__(self, tester: Any, subject: Process) -> None:
        self.tester, self.subject = tester, subject
        self.violations: _Violations = {}
        self.statuses: list[tuple[float, float, Any]] = []  # when received, stamp, status
        tester.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RESULT)
        self.name = self._find_name()

    def expect(self, promise: str, kept: Any, text: str) -> None:
        """Note a promise that is not kept."""
        if not kept:
            self.violations.setdefault(promise, text)

    def until(self, predicate: Callable[[], Any], timeout_s: float) -> Any:
        """Spin until the predicate is true or the process has ended."""
        return spin_until(self.tester, lambda: predicate() or not self.subject.alive, timeout_s) and predicate()

    def call(self, srv_type: type, name: str, timeout_s: float = 10.0, **request: Any) -> Any:
        """Call one of the node's services; None where it does not answer."""
        client = self.tester.create_client(srv_type, f"{self.name}/{name}")
        try:
            if not self.until(client.service_is_ready, timeout_s):
                return None
            future = client.call_async(srv_type.Request(**request))
            self.until(future.done, timeout_s)
            return future.result() if future.done() else None
        finally:
            self.tester.destroy_client(client)

    def state(self) -> str:
        """The lifecycle state, empty where the node does not say."""
        answer = self.call(GetState, "get_state")
        return answer.current_state.label if answer else ""

    def change(self, transition: int) -> bool:
        """Ask for a transition and wait for its end."""
        answer = self.call(ChangeState, "change_state", _CONFIGURE_S, transition=Transition(id=transition))
        return bool(answer and answer.success)

    def next_status(self, wanted: Callable[[Any], Any] = lambda status: True, timeout_s: float = 3.0) -> Any:
        """The first status received from now on that is as wanted, None where none is."""
        begin = len(self.statuses)
        self.until(lambda: any(wanted(status) for *_, status in self.statuses[begin:]), timeout_s)
        return next((status for *_, status in self.statuses[begin:] if wanted(status)), None)

    def subscribed(self) -> dict[str, str]:
        """The topics that the node reads, and their types; its own inner ones left out."""
        namespace, _, name = self.name.rpartition("/")
        found = self.tester.get_subscriber_names_and_types_by_node(name, namespace or "/")
        return {topic: types[0] for topic, types in found if topic not in _GLOBAL_TOPICS and "/_action/" not in topic}

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        stamp = stamp_seconds(msg.header.stamp)
        self.statuses.extend((time.monotonic(), stamp, status) for status in msg.status)

    def _find_name(self) -> str:
        self.until(lambda: _nodes(self.tester), _START_S)
        names = _nodes(self.tester)
        self.expect("starts", names, f"no node under {NAMESPACE}; it wrote: {self.subject.output[-500:]}")
        return names[0] if names else ""


def examine(command: Sequence[str]) -> _Violations:
    """Return what the node breaks, by promise."""
    violations: _Violations = {}
    for check in (by_hand, in_simulated_time, stopped_while_starting, with_an_unknown_parameter):
        violations.update({promise: text for promise, text in check(command).items() if promise not in violations})
    return violations


def by_hand(command: Sequence[str]) -> _Violations:
    """A life led transition by transition: parameters, lifecycle, names, diagnostics, inputs, SIGINT."""
    with _life(command, "autostart:=false") as life:
        if not life.name:
            return life.violations
        life.next_status(timeout_s=2.0)  # by then it has been up for long enough to start against the parameter
        life.expect("autostart", life.state() == "unconfigured", f"autostart is false, but it is {life.state()!r}")
        _check_descriptions(life)
        _check_lifecycle(life)
        _check_reported_absence(life)
        _check_relative_names(life)
        _check_diagnostics(life)
        _check_refusals(life)
        _check_bad_inputs(life)
        _check_end(life, signal.SIGINT)
    return life.violations


def in_simulated_time(command: Sequence[str]) -> _Violations:
    """A life in simulated time, by itself: autostart, clock, SIGTERM."""
    with _life(command, "use_sim_time:=true") as life:
        if not life.name:
            return life.violations
        active = life.until(lambda: any(_state(s) == "active" for *_, s in life.statuses), _CONFIGURE_S)
        life.expect("autostart", active, f"not active by itself; it wrote: {life.subject.output[-500:]}")
        _check_simulated_time(life)
        _check_end(life, signal.SIGTERM)
    return life.violations


def stopped_while_starting(command: Sequence[str]) -> _Violations:
    """A life that ends as soon as the node is seen, most likely while it configures."""
    with _life(command) as life:
        _check_end(life, signal.SIGTERM)
    return life.violations


def with_an_unknown_parameter(command: Sequence[str]) -> _Violations:
    """A start with a params file that names a parameter which does not exist."""
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        params.write_text("/**:\n  ros__parameters:\n    no_such_parameter: 1\n")
        arguments = ["--ros-args", "-r", f"__ns:={NAMESPACE}", "--params-file", str(params)]
        with ros() as tester, process([*command, *arguments], cwd=folder) as subject:
            spin_until(tester, lambda: not subject.alive or _nodes(tester), _START_S)
            spin_until(tester, lambda: not subject.alive, _REFUSAL_S)
            if subject.alive:
                return {"unknown parameters": "it starts with a parameter that does not exist"}
            code, output = subject.wait(_END_S), subject.output
    if code != 0 and "no_such_parameter" in output and "Traceback" not in output:
        return {}
    return {"unknown parameters": f"exit code {code}, and no plain word of it: {output[-300:]!r}"}


@contextmanager
def _life(command: Sequence[str], *parameters: str) -> Iterator[Examination]:
    """Start the node in the namespace, with frames for what it may look up."""
    arguments = ["--ros-args", "-r", f"__ns:={NAMESPACE}", *(word for p in parameters for word in ("-p", p))]
    with tempfile.TemporaryDirectory() as folder, ros() as tester:
        frames = tester.create_publisher(TFMessage, "/tf_static", LATCHED)
        pairs = pairwise(FRAMES)
        frames.publish(
            TFMessage(transforms=[TransformStamped(header=header(0.0, a), child_frame_id=b) for a, b in pairs])
        )
        with process([*command, *arguments], cwd=folder) as subject:
            yield Examination(tester, subject)


def _check_descriptions(life: Examination) -> None:
    for descriptor in _descriptors(life):
        life.expect("descriptions", descriptor.description, f"parameter '{descriptor.name}' has no description")
        bounded = descriptor.integer_range or descriptor.floating_point_range or descriptor.additional_constraints
        is_number = descriptor.type in _NUMBERS
        life.expect(
            "descriptions", bounded or not is_number, f"parameter '{descriptor.name}' is a number without range"
        )


def _check_lifecycle(life: Examination) -> None:
    """There, back again to the beginning, and there once more."""
    way = [
        (Transition.TRANSITION_CONFIGURE, "inactive"),
        (Transition.TRANSITION_ACTIVATE, "active"),
        (Transition.TRANSITION_DEACTIVATE, "inactive"),
        (Transition.TRANSITION_CLEANUP, "unconfigured"),
        (Transition.TRANSITION_CONFIGURE, "inactive"),
        (Transition.TRANSITION_ACTIVATE, "active"),
    ]
    for number, (transition, state) in enumerate(way):
        if number < 2 and life.state() == "active":  # a node that ignores autostart is there already
            continue
        life.expect("lifecycle", life.change(transition) and life.state() == state, f"step {number}: not {state}")


def _check_reported_absence(life: Examination) -> None:
    """Just activated, and nobody publishes: within a second or so each required input is missed by name."""
    topics = life.subscribed()
    status = life.next_status(lambda s: _state(s) == "active", 2.5)
    status = life.next_status(lambda s: s.level != b"\0", 1.5) or status
    if status is None:
        life.expect("absence", not topics, f"no status, so nothing is said of {sorted(topics)}")
        return
    values = _values(status)
    for topic in topics:
        entry = values.get(f"in {topic}")
        life.expect("absence", entry is not None, f"diagnostics have no entry 'in {topic}'")
        if entry is not None and "optional" not in entry:
            said = topic in status.message and topic in life.subject.output
            life.expect("absence", said, f"{topic} has no publisher, and the status says only {status.message!r}")


def _check_relative_names(life: Examination) -> None:
    namespace, _, name = life.name.rpartition("/")
    tester = life.tester
    found = [
        *tester.get_publisher_names_and_types_by_node(name, namespace),
        *tester.get_subscriber_names_and_types_by_node(name, namespace),
        *tester.get_service_names_and_types_by_node(name, namespace),
    ]
    outside = sorted({n for n, _ in found if not n.startswith(f"{namespace}/")} - _GLOBAL_TOPICS)
    life.expect("relative names", not outside, f"not under the namespace: {outside}")


def _check_diagnostics(life: Examination) -> None:
    begin = len(life.statuses)
    life.until(lambda: len(life.statuses) >= begin + 4, 6.0)
    recent = life.statuses[begin:]
    life.expect("diagnostics", len(recent) >= 4, f"{len(recent)} statuses within 6 s, expected one a second")
    if len(recent) < 4:
        return
    period = (recent[-1][0] - recent[0][0]) / (len(recent) - 1)
    life.expect("diagnostics", 0.75 < period < 1.35, f"a status every {period:.2f} s, expected every second")
    status = recent[-1][2]
    missing = sorted(DIAGNOSTIC_KEYS - _values(status).keys())
    life.expect("diagnostics", not missing, f"the status lacks {missing}")
    named = life.name.lstrip("/") in status.name
    life.expect("diagnostics", named, f"the status is named {status.name!r}, the node {life.name!r}")
    life.expect("diagnostics", status.hardware_id, "the status has no hardware id")


def _check_refusals(life: Examination) -> None:
    """While active: what is in range is taken, what is not is refused with a reason."""
    for descriptor in _descriptors(life):
        present = life.call(GetParameters, "get_parameters", names=[descriptor.name])
        value = parameter_value_to_python(present.values[0])
        if descriptor.read_only:
            _expect_refused(life, descriptor, value)
            continue
        same = _set(life, descriptor.name, value)
        life.expect("changes", same.successful, f"'{descriptor.name}' = {value!r}, as it is, is refused: {same.reason}")
        for outside in _outside(descriptor, value):
            _expect_refused(life, descriptor, outside)


def _expect_refused(life: Examination, descriptor: ParameterDescriptor, value: Any) -> None:
    answer = _set(life, descriptor.name, value)
    life.expect("refusals", not answer.successful, f"'{descriptor.name}' = {value!r} is taken")
    life.expect("refusals", answer.successful or answer.reason, f"'{descriptor.name}' = {value!r}: no reason given")


def _check_bad_inputs(life: Examination) -> None:
    """On every topic that it reads: bad messages are outlived, and a good one after them is accepted."""
    readers = [_Reader(life, topic, type_name) for topic, type_name in life.subscribed().items()]
    for reader in readers:
        life.until(lambda reader=reader: reader.publisher.get_subscription_count(), 3.0)
    life.until(lambda: False, 0.5)  # the readers have to find the publishers too
    for reader in readers:
        reader.send_bad()
    life.until(lambda: all(reader.has_taken_all() for reader in readers), 4.0)
    for reader in readers:
        reader.check_bad()
    timer = life.tester.create_timer(0.1, lambda: [reader.send_good() for reader in readers])
    life.until(lambda: all(reader.has_accepted_good() for reader in readers), 5.0)
    for reader in readers:
        reader.check_good()
    life.tester.destroy_timer(timer)


class _Reader:
    """A topic that the node reads, and what it was sent."""

    def __init__(self, life: Examination, topic: str, type_name: str) -> None:
        self.life, self.topic = life, topic
        package, _, name = type_name.split("/")
        self.msg_type = getattr(import_module(f"{package}.msg"), name)
        self.publisher = life.tester.create_publisher(self.msg_type, topic, LATCHED)
        self.specimens = bad(self.msg_type, self._now())
        self.before = self.after_bad = _counts(life, topic)

    def send_bad(self) -> None:
        """Send all that is bad, slowly enough for a queue of one."""
        for specimen in self.specimens:
            self.publisher.publish(specimen.msg)
            self.life.until(lambda: False, 0.05)

    def has_taken_all(self) -> bool:
        return _counts(self.life, self.topic)[0] >= self.before[0] + len(self.specimens)

    def check_bad(self) -> None:
        life, output = self.life, self.life.subject.output[-800:]
        self.after_bad = _counts(life, self.topic)
        refused = self.after_bad[1] - self.before[1]
        wanted = [specimen.what for specimen in self.specimens if specimen.refused]
        sent = f"{self.topic}: of messages {', '.join(specimen.what for specimen in self.specimens)}"
        life.expect("bad inputs", life.subject.alive, f"{sent} one kills it: {output}")
        unexpected = self.after_bad[2] - self.before[2]
        life.expect("bad inputs", unexpected == 0, f"{sent} {unexpected} are unexpected errors: {output}")
        life.expect("bad inputs", self.has_taken_all(), f"{sent} some never reach its inputs")
        life.expect("bad inputs", refused >= len(wanted), f"{sent} it refuses {refused}, expected {wanted}: {output}")

    def send_good(self) -> None:
        msg = good(self.msg_type, self._now())
        if msg is not None:
            self.publisher.publish(msg)

    def has_accepted_good(self) -> bool:
        received, refused, _ = _counts(self.life, self.topic)
        nothing_known = good(self.msg_type, self._now()) is None
        return nothing_known or received - refused > self.after_bad[0] - self.after_bad[1]

    def check_good(self) -> None:
        text = f"{self.topic}: good messages after bad ones are not accepted: {self.life.subject.output[-800:]}"
        self.life.expect("next good input", self.has_accepted_good(), text)

    def _now(self) -> Any:
        return self.life.tester.get_clock().now().to_msg()


def _check_simulated_time(life: Examination) -> None:
    namespace, _, name = life.name.rpartition("/")
    own = dict(life.tester.get_publisher_names_and_types_by_node(name, namespace))
    if "/clock" not in own:
        said = life.next_status(lambda s: "/clock" in s.message, 3.0)
        life.expect("simulated time", said, "it does not say that /clock is missing")
        clock = life.tester.create_publisher(Clock, "/clock", RESULT)
        begin = time.monotonic()

        def tick() -> None:
            clock.publish(Clock(clock=stamp_of(5000.0 + time.monotonic() - begin)))

        life.tester.create_timer(0.05, tick)
    begin_count = len(life.statuses)
    runs = life.until(lambda: any(0.0 < stamp < 1e6 for _, stamp, _ in life.statuses[begin_count:]), 4.0)
    life.expect("simulated time", runs, "its diagnostics are not stamped with /clock")


def _check_end(life: Examination, number: signal.Signals) -> None:
    try:
        code = life.subject.stop(number, _END_S)
    except subprocess.TimeoutExpired:
        life.expect("clean end", False, f"it goes on {_END_S:.0f} s after {number.name}")
        return
    output = life.subject.output
    life.expect("clean end", code == 0, f"exit code {code} after {number.name}: {output[-500:]}")
    life.expect("clean end", "Traceback" not in output, f"a traceback after {number.name}: {output[-1500:]}")


def _nodes(tester: Any) -> list[str]:
    found = [f"{namespace.rstrip('/')}/{name}" for name, namespace in tester.get_node_names_and_namespaces()]
    return [name for name in found if name.startswith(f"{NAMESPACE}/")]


def _descriptors(life: Examination) -> list[ParameterDescriptor]:
    listed = life.call(ListParameters, "list_parameters")
    names = [name for name in listed.result.names if not name.startswith(_OF_ROS)] if listed else []
    described = life.call(DescribeParameters, "describe_parameters", names=names) if names else None
    return list(described.descriptors) if described else []


def _outside(descriptor: ParameterDescriptor, value: Any) -> list[Any]:
    """Values that the description rules out; of a limit that is as good as none, none."""
    if descriptor.additional_constraints.startswith("one of") and isinstance(value, str):
        return ["no such choice"]
    kind = _NUMBERS.get(descriptor.type)
    for bounds in (*descriptor.integer_range, *descriptor.floating_point_range):
        beyond = [bounds.from_value - 1, bounds.to_value + 1]
        sensible = [v for v in beyond if kind is not None and abs(v) < 2**62]
        return [[kind(v)] if isinstance(value, (list, tuple)) else kind(v) for v in sensible]
    return []


def _set(life: Examination, name: str, value: Any) -> Any:
    kind = _type_of(value)
    parameter = Parameter(name, kind, value) if kind is not None else Parameter(name, value=value)
    answer = life.call(SetParameters, "set_parameters", parameters=[parameter.to_parameter_msg()])
    return answer.results[0]


def _type_of(value: Any) -> Any:
    """An empty list has no type of its own; any will do, as the node looks at the elements."""
    empty = not isinstance(value, (bool, int, float, str)) and len(value) == 0
    return Parameter.Type.STRING_ARRAY if empty else None


def _counts(life: Examination, topic: str) -> tuple[int, int, int]:
    """Messages received and refused on a topic, and unexpected errors, as the newest status says."""
    if not life.statuses:
        return 0, 0, 0
    values = _values(life.statuses[-1][2])
    numbers = re.search(r"(\d+) received, (\d+) refused", values.get(f"in {topic}", ""))
    received, refused = map(int, numbers.groups()) if numbers else (0, 0)
    return received, refused, int(values.get("unexpected_errors", 0))


def _values(status: Any) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def _state(status: Any) -> str:
    return _values(status).get("state", "")
