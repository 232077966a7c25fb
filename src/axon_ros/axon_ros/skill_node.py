# SPDX-License-Identifier: Apache-2.0
"""The base of every node: lifecycle, parameters from a dataclass, watched inputs, guarded outputs, diagnostics."""

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import QoSProfile

from axon_core.arrays import FloatArray
from axon_core.geometry import se2_from_matrix
from axon_ros import diagnostics
from axon_ros.clock_watch import ClockWatch
from axon_ros.diagnostics import CpuMeter, ModelInfo
from axon_ros.errors import BadInput, error_line
from axon_ros.inputs import Input, InputSpec
from axon_ros.outputs import Output
from axon_ros.parameters import ConfigParameters
from axon_ros.problems import Problems
from axon_ros.qos import RESULT, SENSOR
from axon_ros.speaker import Level, Speaker
from axon_ros.stamps import StampCheck
from axon_ros.worker import Worker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE

_WATCH_PERIOD_S = 0.2
_DIAGNOSTICS_EVERY = 5  # watches: once a second
_ERROR_SHOWN_FOR_TICKS = 50


class SkillNode(LifecycleNode):
    """A lifecycle node whose subclass fills in `on_load`, `on_start`, `on_stop`, `on_unload`, `on_config_change`.

    What the helpers make in `on_start` (`input`, `output`, `work`, `timer`, `serve`, `action`) ends with the node's
    activity: inputs, timers, workers and services before `on_stop` is called, outputs and actions after it.
    """

    _closed = True  # until it is whole

    def __init__(self, name: str, config_class: type, *, threads: int = 1, **kwargs: Any) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        self.threads = threads
        self.state = "unconfigured"
        self.loading = False
        self.exit_code: int | None = None
        self.model = ModelInfo()
        self._speaker = Speaker(self.get_logger())
        self._problems = Problems(self._speaker)
        self._inputs: list[Input] = []
        self._outputs: list[Output] = []
        self._workers: list[Worker] = []
        self._undo_before_stop: list[Callable[[], Any]] = []
        self._undo_after_stop: list[Callable[[], Any]] = []
        self._transforms: Any = None
        self._unexpected, self._unexpected_tick = 0, 0
        try:
            self._parameters_of_config = ConfigParameters(self, config_class, self._apply_config)
        except BaseException:
            super().destroy_node()
            raise
        self._start_watching()
        self._closed = False

    # What a subclass fills in

    def on_load(self, config: Any) -> None:
        """Configure: build the runtime, load and warm the model. An exception fails the transition with its text."""

    def on_start(self) -> None:
        """Activate: make inputs, outputs, workers, timers, servers."""

    def on_stop(self) -> None:
        """Deactivate: outputs still publish, a last zero command for instance."""

    def on_unload(self) -> None:
        """Clean up: let go of what `on_load` made."""

    def on_config_change(self, config: Any) -> None:
        """Follow a change at run time that the dataclass has accepted; raise ValueError to refuse it."""

    def status_values(self) -> dict[str, str]:
        """Return what diagnostics shall show beside what every node shows."""
        return {}

    # What a subclass uses

    @property
    def config(self) -> Any:
        """The present config, an instance of the config dataclass."""
        return self._parameters_of_config.config

    def input(
        self,
        msg_type: type,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile = SENSOR,
        timeout_s: float | None = 1.0,
        required: bool = True,
    ) -> Input:
        """Subscribe. Raise BadInput in the callback to refuse a message.

        Of a required input a missing publisher is reported, and silence beyond `timeout_s` (None: it may be silent).
        """
        spec = InputSpec(msg_type, topic, qos, timeout_s, required)
        stamps = StampCheck(self.now_s)
        made = Input(self, spec, callback, self.report_exception, self._speaker, self._problems, stamps)
        self._inputs.append(made)
        return made

    def output(self, msg_type: type, topic: str, qos: QoSProfile = RESULT) -> Output:
        """Advertise; `.publish(msg)` is guarded and counted, `.watched` says whether somebody subscribes."""
        made = Output(self, self._speaker, msg_type, topic, qos)
        self._outputs.append(made)
        return made

    def work(self, callback: Callable[[Any], None]) -> Worker:
        """Start a thread beside the executor; `.submit(item)` hands it the newest item, older ones are dropped."""
        made = Worker(callback, self._on_work_error, f"{self.get_name()}-worker")
        self._workers.append(made)
        return made

    def timer(self, period_s: float, callback: Callable[[], None], steady: bool = False) -> Any:
        """Call back every `period_s` of the node's clock, or of one that no simulator can stop (`steady`)."""
        clock = Clock(clock_type=ClockType.STEADY_TIME) if steady else self.get_clock()
        made = self.create_timer(period_s, self._guarded(callback), clock=clock)
        self._undo_before_stop.append(lambda: self.destroy_timer(made))
        return made

    def serve(self, srv_type: type, name: str, callback: Callable[[Any, Any], Any]) -> Any:
        """Offer a service; the callback fills in and returns the response."""
        made = self.create_service(srv_type, name, callback)
        self._undo_before_stop.append(lambda: self.destroy_service(made))
        return made

    def action(
        self,
        action_type: type,
        name: str,
        execute: Callable[[Any], Any],
        goal: Callable[[Any], GoalResponse] = lambda request: GoalResponse.ACCEPT,
        cancel: Callable[[Any], CancelResponse] = lambda handle: CancelResponse.ACCEPT,
        accepted: Callable[[Any], None] | None = None,
    ) -> ActionServer:
        """Offer an action on a reentrant group.

        `execute(goal_handle)` returns the result. Make it `async` and await a `rclpy.task.Future`, or ask for
        `threads`; otherwise it blocks the executor. Without `accepted`, every accepted goal is executed at once.
        """
        optional = {} if accepted is None else {"handle_accepted_callback": accepted}
        group = ReentrantCallbackGroup()
        made = ActionServer(
            self,
            action_type,
            name,
            execute,
            goal_callback=goal,
            cancel_callback=cancel,
            callback_group=group,
            **optional,
        )
        self._undo_after_stop.append(made.destroy)
        return made

    def diagnose(self, level: int, text: str, key: str = "node") -> None:
        """Set what diagnostics say under a key until it changes; said in the log when it changes. OK clears it."""
        if level == Level.OK:
            self._problems.clear(f"own {key}", text)
        else:
            self._problems.raise_(f"own {key}", Level(level), text)

    def say_once(self, key: str, text: str, level: int = Level.WARN) -> None:
        """Log the first text under a key, and no other until the node is activated anew."""
        self._speaker.once(key, Level(level), text)

    def now_s(self) -> float:
        """The node's clock in seconds: simulated time where `use_sim_time` is set."""
        return float(1e-9 * self.get_clock().now().nanoseconds)

    @property
    def tf(self) -> Any:
        """The tf2 buffer; the listener starts with the first use."""
        return self._listening().buffer

    def lookup_transform(self, target: str, source: str, stamp: Any = None) -> FloatArray:
        """Return `target_T_source` (4, 4) at `stamp` (builtin_interfaces/Time) or the newest; raises NoTransform."""
        return self._listening().lookup(target, source, stamp)

    def lookup_se2(self, target: str, source: str, stamp: Any = None) -> FloatArray:
        """Return the planar part (3,) of `lookup_transform`."""
        return se2_from_matrix(self.lookup_transform(target, source, stamp))

    def finish(self, exit_code: int = 0) -> None:
        """End the process, cleanly and with this exit code, once the present callback is done."""
        self.exit_code = exit_code

    def report_exception(self, error: BaseException) -> None:
        """Say an exception that nobody expected; diagnostics show it as ERROR for ten seconds."""
        self._unexpected += 1
        self._unexpected_tick = self._ticks
        text = f"unexpected {error_line(error)}"
        self._problems.raise_("unexpected", Level.ERROR, text)
        self._speaker.throttled(f"unexpected {type(error)}", Level.ERROR, text)

    # Lifecycle

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Load."""
        self._problems.forget()
        self.loading = True
        try:
            return self._attempt("configure", lambda: self.on_load(self.config), "inactive")
        finally:
            self.loading = False

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Start; what was begun is undone where it fails."""
        self._speaker.forget()
        result = self._attempt("activate", self.on_start, "active")
        if result != SUCCESS:
            self._close_entities()
        return result

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stop."""
        self._stop()
        return SUCCESS

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Free."""
        self._unload()
        return SUCCESS

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Stop and free, from whatever state."""
        self._wind_down()
        self.state = "finalized"
        return SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Stop and free, and be unconfigured again."""
        self._wind_down()
        return SUCCESS

    def destroy_node(self) -> None:
        """Stop, free, and go."""
        if not self._closed:
            self._closed = True
            self._wind_down()
            self._workers.clear()
            if self._transforms is not None:
                self._transforms.close()
        super().destroy_node()

    def _attempt(self, verb: str, hook: Callable[[], None], state: str) -> TransitionCallbackReturn:
        try:
            hook()
        except Exception as error:
            reason = str(error) if isinstance(error, (ValueError, OSError)) else error_line(error)
            self._problems.raise_("lifecycle", Level.ERROR, f"{verb} failed: {reason}")
            return FAILURE
        self._problems.forget("lifecycle")
        self.state = state
        return SUCCESS

    def _stop(self) -> None:
        self._undo(self._undo_before_stop)
        self._close_all(self._inputs)
        self._close_all(self._workers)
        self._guarded(self.on_stop)()
        self._close_entities()
        self.state = "inactive"

    def _unload(self) -> None:
        self._guarded(self.on_unload)()
        self.model = ModelInfo()
        self.state = "unconfigured"

    def _wind_down(self) -> None:
        if self.state == "active":
            self._stop()
        if self.state == "inactive":
            self._unload()

    def _close_entities(self) -> None:
        self._undo(self._undo_before_stop)
        for entities in (self._inputs, self._workers, self._outputs):
            self._close_all(entities)
        self._undo(self._undo_after_stop)
        self._problems.forget("own ")

    def _close_all(self, entities: list[Any]) -> None:
        for entity in entities:
            self._guarded(entity.close)()
        entities.clear()

    def _undo(self, actions: list[Callable[[], Any]]) -> None:
        while actions:
            self._guarded(actions.pop())()

    # Watching

    def _start_watching(self) -> None:
        self._ticks = 0
        self._cpu = CpuMeter()
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._clock_watch = ClockWatch(self.now_s, self._problems)
        self._diagnostics = Output(self, self._speaker, diagnostics.DiagnosticArray, diagnostics.TOPIC, RESULT)
        self.create_timer(_WATCH_PERIOD_S, self._guarded(self._tick), clock=self._steady_clock)
        if self._parameters_of_config.autostart:
            self._autostart_timer = self.create_timer(0.0, self._autostart, clock=self._steady_clock)

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if self.state == "unconfigured" and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _tick(self) -> None:
        self._ticks += 1
        self._clock_watch.watch()
        for watched in self._inputs:
            watched.watch()
        if self._ticks % _DIAGNOSTICS_EVERY == 0:
            for watched in self._inputs:
                watched.watch_graph()
            if self._transforms is not None:
                self._transforms.watch()
            if self._unexpected and self._ticks - self._unexpected_tick > _ERROR_SHOWN_FOR_TICKS:
                self._problems.forget("unexpected")
            self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        level, text = self._problems.summary()
        model = self.model
        values = {
            "state": self.state,
            **diagnostics.traffic(self._inputs, self._outputs, self._workers),
            "unexpected_errors": str(self._unexpected),
            "model": model.name,
            "model_version": model.version,
            "model_sha256": model.sha256,
            "device": model.device,
            **self._cpu.values(),
            **self.status_values(),
        }
        name = self.get_fully_qualified_name().lstrip("/")
        status = diagnostics.status(name, level, text or self.state, values)
        self._diagnostics.publish(diagnostics.array_of(self.get_clock().now().to_msg(), status))

    # Glue

    def _apply_config(self, config: Any) -> None:
        if self.state in ("inactive", "active"):
            self.on_config_change(config)

    def _listening(self) -> Any:
        if self._transforms is None:
            from axon_ros.transforms import Transforms  # tf2_ros only where a node uses it

            self._transforms = Transforms(self, self._problems)
        return self._transforms

    def _on_work_error(self, error: Exception) -> None:
        if isinstance(error, BadInput) and self._inputs:
            self._inputs[0].refuse(error)
        else:
            self.report_exception(error)

    def _guarded(self, callback: Callable[[], Any]) -> Callable[[], None]:
        def call() -> None:
            try:
                callback()
            except Exception as error:
                self.report_exception(error)

        return call
