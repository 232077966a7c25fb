# SPDX-License-Identifier: Apache-2.0
"""The base of every node: lifecycle, parameters from a dataclass, watched inputs, guarded outputs, diagnostics."""

from collections.abc import Callable
from typing import Any

import numpy as np
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
_TF_WAIT_S = 0.15
_DIAGNOSTICS_EVERY = 5  # watches: once a second
_ERROR_SHOWN_FOR_TICKS = 50
_TURNS_FOR_RESULTS = 20  # two a goal, and some for requests that have just come


class SkillNode(LifecycleNode):
    """A lifecycle node whose subclass fills in `on_load`, `on_start`, `on_stop`, `on_unload`, `on_config_change`.

    What the helpers make in `on_start` (`input`, `output`, `work`, `timer`, `serve`, `action`) ends with the node's
    activity: inputs, timers, workers and services before `on_stop` is called, outputs and actions after it.
    What is private here is private by name too (two underscores), so that a subclass cannot override it unawares.
    """

    __closed = True  # until it is whole

    def __init__(self, name: str, config_class: type, *, threads: int = 1, **kwargs: Any) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        self.threads = threads
        self.__state = "unconfigured"
        self.__loading = False
        self.exit_code: int | None = None
        self.model = ModelInfo()
        self.__speaker = Speaker(self.get_logger())
        self.__problems = Problems(self.__speaker)
        self.__inputs: list[Input] = []
        self.__outputs: list[Output] = []
        self.__workers: list[Worker] = []
        self.__undo_before_stop: list[Callable[[], Any]] = []
        self.__undo_after_stop: list[Callable[[], Any]] = []
        self.__transforms: Any = None
        self.__unexpected, self.__unexpected_tick = 0, 0
        try:
            self.__parameters_of_config = ConfigParameters(self, config_class, self.__apply_config)
        except BaseException:
            super().destroy_node()
            raise
        self.__start_watching()
        self.__closed = False

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
    def state(self) -> str:
        """The lifecycle state: unconfigured, inactive, active or finalized."""
        return self.__state

    @property
    def loading(self) -> bool:
        """Whether `on_load` runs just now; a signal may interrupt it."""
        return self.__loading

    @property
    def problems(self) -> Problems:
        """What is wrong with the node now."""
        return self.__problems

    @property
    def unexpected_errors(self) -> int:
        """Number of exceptions since the start that nobody expected."""
        return self.__unexpected

    @property
    def config(self) -> Any:
        """The present config, an instance of the config dataclass."""
        return self.__parameters_of_config.config

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
        made = Input(self, spec, callback, self.report_exception, self.__speaker, self.__problems, stamps)
        self.__inputs.append(made)
        return made

    def output(self, msg_type: type, topic: str, qos: QoSProfile = RESULT) -> Output:
        """Advertise; `.publish(msg)` is guarded and counted, `.watched` says whether somebody subscribes."""
        made = Output(self, self.__speaker, msg_type, topic, qos)
        self.__outputs.append(made)
        return made

    def work(self, callback: Callable[[Any], None]) -> Worker:
        """Start a thread beside the executor; `.submit(item)` hands it the newest item, older ones are dropped."""
        made = Worker(callback, self.__on_work_error, f"{self.get_name()}-worker")
        self.__workers.append(made)
        return made

    def timer(self, period_s: float, callback: Callable[[], None], steady: bool = False) -> Any:
        """Call back every `period_s` of the node's clock, or of one that no simulator can stop (`steady`)."""
        clock = Clock(clock_type=ClockType.STEADY_TIME) if steady else self.get_clock()
        made = self.create_timer(period_s, self.__guarded(callback), clock=clock)
        self.__undo_before_stop.append(lambda: self.destroy_timer(made))
        return made

    def serve(self, srv_type: type, name: str, callback: Callable[[Any, Any], Any]) -> Any:
        """Offer a service; the callback fills in and returns the response."""
        made = self.create_service(srv_type, name, callback)
        self.__undo_before_stop.append(lambda: self.destroy_service(made))
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

        `execute(goal_handle)` returns the result and blocks the executor meanwhile, unless the node has `threads`. A
        goal that takes a while is better begun by `accepted` and ended through `axon_ros.endings.Endings`. Without
        `accepted`, every accepted goal is executed at once. A goal that `on_stop` ends has its result delivered before
        the server goes; none is accepted any more by then.
        """
        optional = {} if accepted is None else {"handle_accepted_callback": accepted}
        group = ReentrantCallbackGroup()
        made = ActionServer(
            self,
            action_type,
            name,
            execute,
            goal_callback=lambda request: goal(request) if self.state == "active" else GoalResponse.REJECT,
            cancel_callback=cancel,
            callback_group=group,
            **optional,
        )
        self.__undo_after_stop.append(made.destroy)
        return made

    def diagnose(self, level: int, text: str, key: str = "node") -> None:
        """Set what diagnostics say under a key until it changes; said in the log when it changes. OK clears it."""
        if level == Level.OK:
            self.__problems.clear(f"own {key}", text)
        else:
            self.__problems.raise_(f"own {key}", Level(level), text)

    def say_once(self, key: str, text: str, level: int = Level.WARN) -> None:
        """Log the first text under a key, and no other until the node is activated anew."""
        self.__speaker.once(key, Level(level), text)

    def now_s(self) -> float:
        """The node's clock in seconds: simulated time where `use_sim_time` is set."""
        return float(1e-9 * self.get_clock().now().nanoseconds)

    @property
    def tf(self) -> Any:
        """The tf2 buffer; the listener starts with the first use."""
        return self.__listening().buffer

    def lookup_transform(self, target: str, source: str, stamp: Any = None) -> FloatArray:
        """Return `target_T_source` (4, 4) at `stamp` (builtin_interfaces/Time) or the newest; raises NoTransform."""
        return self.__lookup(target, source, stamp, 0.0)

    def listen_to_tf(self) -> None:
        """Start tf's listener: from `on_start`, where only a worker looks transforms up."""
        self.__listening()

    def await_transform(self, target: str, source: str, stamp: Any) -> FloatArray:
        """Do `lookup_transform`, and wait a little: a transform may come later than what it places.

        Blocks, and so is for workers; transforms come in the executor's thread, see `listen_to_tf`.
        """
        return self.__lookup(target, source, stamp, _TF_WAIT_S)

    def lookup_se2(self, target: str, source: str, stamp: Any = None) -> FloatArray:
        """Return the planar part (3,) of `lookup_transform`."""
        return se2_from_matrix(self.lookup_transform(target, source, stamp))

    def finish(self, exit_code: int = 0) -> None:
        """End the process, cleanly and with this exit code, once the present callback is done."""
        self.exit_code = exit_code

    def report_exception(self, error: BaseException) -> None:
        """Say an exception that nobody expected; diagnostics show it as ERROR for ten seconds."""
        self.__unexpected += 1
        self.__unexpected_tick = self.__ticks
        text = f"unexpected {error_line(error)}"
        self.__problems.raise_("unexpected", Level.ERROR, text)
        self.__speaker.throttled(f"unexpected {type(error)}", Level.ERROR, text)

    # Lifecycle

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Load."""
        self.__problems.forget()
        self.__loading = True
        try:
            return self.__attempt("configure", lambda: self.on_load(self.config), "inactive")
        finally:
            self.__loading = False

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Start; what was begun is undone where it fails."""
        self.__speaker.forget()
        result = self.__attempt("activate", self.on_start, "active")
        if result != SUCCESS:
            self.__close_entities()
        return result

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stop."""
        self.__stop()
        return SUCCESS

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Free."""
        self.__unload()
        return SUCCESS

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Stop and free, from whatever state."""
        self.__wind_down()
        self.__state = "finalized"
        return SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Stop and free, and be unconfigured again."""
        self.__wind_down()
        return SUCCESS

    def destroy_node(self) -> None:
        """Stop, free, and go."""
        if not self.__closed:
            self.__closed = True
            self.__wind_down()
            self.__workers.clear()
            if self.__transforms is not None:
                self.__transforms.close()
        super().destroy_node()

    def __attempt(self, verb: str, hook: Callable[[], None], state: str) -> TransitionCallbackReturn:
        try:
            hook()
        except Exception as error:
            reason = str(error) if isinstance(error, (ValueError, OSError)) else error_line(error)
            self.__problems.raise_("lifecycle", Level.ERROR, f"{verb} failed: {reason}")
            return FAILURE
        self.__problems.forget("lifecycle")
        self.__state = state
        return SUCCESS

    def __stop(self) -> None:
        self.__undo(self.__undo_before_stop)
        self.__close_all(self.__inputs)
        self.__close_all(self.__workers)
        self.__guarded(self.on_stop)()
        self.__state = "inactive"
        self.__guarded(self.__hand_out_results)()
        self.__close_entities()

    def __hand_out_results(self) -> None:
        """Let clients have the results of the goals that `on_stop` has ended: rclpy sends them in the executor."""
        if self.__undo_after_stop and self.executor is not None and self.context.ok():
            for _ in range(_TURNS_FOR_RESULTS):
                self.executor.spin_once(timeout_sec=0.0)

    def __unload(self) -> None:
        self.__guarded(self.on_unload)()
        self.model = ModelInfo()
        self.__state = "unconfigured"

    def __wind_down(self) -> None:
        if self.state == "active":
            self.__stop()
        if self.state == "inactive":
            self.__unload()

    def __close_entities(self) -> None:
        self.__undo(self.__undo_before_stop)
        for entities in (self.__inputs, self.__workers, self.__outputs):
            self.__close_all(entities)
        self.__undo(self.__undo_after_stop)
        self.__problems.forget("own ")

    def __close_all(self, entities: list[Any]) -> None:
        for entity in entities:
            self.__guarded(entity.close)()
        entities.clear()

    def __undo(self, actions: list[Callable[[], Any]]) -> None:
        while actions:
            self.__guarded(actions.pop())()

    # Watching

    def __start_watching(self) -> None:
        self.__ticks = 0
        self.__cpu = CpuMeter()
        self.__steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.__clock_watch = ClockWatch(self.now_s, self.__problems)
        self.__diagnostics = Output(self, self.__speaker, diagnostics.DiagnosticArray, diagnostics.TOPIC, RESULT)
        self.create_timer(_WATCH_PERIOD_S, self.__guarded(self.__tick), clock=self.__steady_clock)
        if self.__parameters_of_config.autostart:
            self.__autostart_timer = self.create_timer(0.0, self.__autostart, clock=self.__steady_clock)

    def __autostart(self) -> None:
        self.destroy_timer(self.__autostart_timer)
        if self.state == "unconfigured" and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def __tick(self) -> None:
        self.__ticks += 1
        self.__clock_watch.watch()
        for watched in self.__inputs:
            watched.watch()
        if self.__ticks % _DIAGNOSTICS_EVERY == 0:
            for watched in self.__inputs:
                watched.watch_graph()
            if self.__transforms is not None:
                self.__transforms.watch()
            if self.__unexpected and self.__ticks - self.__unexpected_tick > _ERROR_SHOWN_FOR_TICKS:
                self.__problems.forget("unexpected")
            self.__publish_diagnostics()

    def __publish_diagnostics(self) -> None:
        level, text = self.__problems.summary()
        model = self.model
        values = {
            "state": self.state,
            **diagnostics.traffic(self.__inputs, self.__outputs, self.__workers),
            "unexpected_errors": str(self.__unexpected),
            "model": model.name,
            "model_version": model.version,
            "model_sha256": model.sha256,
            "device": model.device,
            **self.__cpu.values(),
            **self.status_values(),
        }
        name = self.get_fully_qualified_name().lstrip("/")
        status = diagnostics.status(name, level, text or self.state, values)
        self.__diagnostics.publish(diagnostics.array_of(self.get_clock().now().to_msg(), status))

    # Glue

    def __apply_config(self, config: Any) -> None:
        if self.state in ("inactive", "active"):
            self.on_config_change(config)

    def __lookup(self, target: str, source: str, stamp: Any, wait_s: float) -> FloatArray:
        if target == source:  # which needs nobody to publish it
            return np.eye(4)
        return self.__listening().lookup(target, source, stamp, wait_s)

    def __listening(self) -> Any:
        if self.__transforms is None:
            from axon_ros.transforms import Transforms  # tf2_ros only where a node uses it

            self.__transforms = Transforms(self, self.__problems)
        return self.__transforms

    def __on_work_error(self, error: Exception) -> None:
        if isinstance(error, BadInput) and self.__inputs:
            self.__inputs[0].refuse(error)
        else:
            self.report_exception(error)

    def __guarded(self, callback: Callable[[], Any]) -> Callable[[], None]:
        def call() -> None:
            try:
                callback()
            except Exception as error:
                self.report_exception(error)

        return call
