# SPDX-License-Identifier: Apache-2.0
"""safety_node: cmd_vel_NAME of every source, scan and odom in; cmd_vel out."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Twist, TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import LaserScan
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from axon_core.arrays import FloatArray
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_ros import BadInput, Level, SkillNode, node_main
from axon_ros.conversions import header, odometry_from_msg, scan_from_msg, twist_to_msg
from axon_ros.qos import COMMAND, RESULT, SENSOR
from axon_ros.stamps import stamp_seconds
from axon_safety.config import SafetyConfig
from axon_safety.picture import ShieldPicture
from axon_safety.runtime import (
    BAD_COMMAND,
    NO_SOURCE,
    OBSTACLE,
    STALE_ODOMETRY,
    STALE_SCAN,
    Shield,
    ShieldStep,
)

UNKNOWN = Twist2(math.nan, math.nan, math.nan)
_STANDS_MPS = 0.02
_SAID_AFTER_S = 0.5
_PICTURES_HZ = 10.0
_FREE, _OBSTACLE, _FAULT, _IDLE = (0.2, 0.9, 0.4), (1.0, 0.6, 0.1), (1.0, 0.2, 0.2), (0.6, 0.6, 0.6)
_WANTED = (0.3, 0.6, 1.0)
_COLORS = {OBSTACLE: _OBSTACLE, STALE_SCAN: _FAULT, STALE_ODOMETRY: _FAULT, BAD_COMMAND: _FAULT, NO_SOURCE: _IDLE}


class SafetyNode(SkillNode):
    """The one door to cmd_vel."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("safety", SafetyConfig, **kwargs)

    def on_load(self, config: SafetyConfig) -> None:
        warm_up(config)
        self.shield = Shield(config, np.zeros(3))  # the scanner's place is set with the first scan
        self._laser_frame = ""
        self._scan: Scan | None = None
        self._scan_s = self._odom_s = -math.inf
        self._velocity, self._odom_pose = UNKNOWN, np.zeros(3)
        self._since_s: dict[str, float] = {}
        self._step: ShieldStep | None = None

    def on_start(self) -> None:
        kind = TwistStamped if self.config.stamped else Twist
        for source in self.config.sources:
            self.input(
                kind, f"cmd_vel_{source}", partial(self._on_command, source), SENSOR, timeout_s=None, required=False
            )
        self.input(LaserScan, "scan", self._on_scan, SENSOR)
        self.input(Odometry, "odom", self._on_odometry, SENSOR)
        self._output = self.output(kind, "cmd_vel", COMMAND)
        self._markers_output = self.output(MarkerArray, "shield_markers", RESULT)
        self._shown_s = -math.inf
        self.timer(1.0 / self.config.rate_hz, self._drive)

    def on_stop(self) -> None:
        self._publish(Twist2())

    def on_config_change(self, config: SafetyConfig) -> None:
        self.shield.configure(config)

    def status_values(self) -> dict[str, str]:
        if self.state != "active" or self._step is None:
            return {}
        refused = ", ".join(f"{source} {count}" for source, count in self.shield.arbiter.refused.items())
        return {
            "driver": self._step.source or "nobody",
            "limited_by": self._step.limited_by,
            "clearance_m": f"{self._step.clearance_m:.3f}",
            "speed_mps": f"{self._step.command.vx_mps:.2f}",
            "turn_radps": f"{self._step.command.wz_radps:.2f}",
            "refused_commands": refused or "none",
        }

    def _on_command(self, source: str, msg: Twist | TwistStamped) -> None:
        twist = msg.twist if self.config.stamped else msg
        try:
            self.shield.submit(source, self.now_s(), Twist2(twist.linear.x, twist.linear.y, twist.angular.z))
        except ValueError as error:
            raise BadInput(str(error)) from error

    def _on_scan(self, msg: LaserScan) -> None:
        if msg.header.frame_id != self._laser_frame:
            self.shield.base_T_laser = self._mounting(msg.header.frame_id)
            self._laser_frame = msg.header.frame_id
        self._scan, self._scan_s = scan_from_msg(msg), self._time_of(msg)

    def _on_odometry(self, msg: Odometry) -> None:
        self._odom_pose, self._velocity = odometry_from_msg(msg)
        self._odom_s = self._time_of(msg)

    def _mounting(self, laser_frame: str) -> FloatArray:
        """Where the scanner sits, (3,) in the base frame; BadInput where it is not level."""
        base_t_laser = self.lookup_transform(self.config.base_frame, laser_frame)
        if base_t_laser[2, 2] < 0.99:
            raise BadInput(f"frame {laser_frame} is tilted or upside down: the shield needs a level scanner")
        return self.lookup_se2(self.config.base_frame, laser_frame)

    def _time_of(self, msg: LaserScan | Odometry) -> float:
        """Time of a message; of one without a stamp, its arrival."""
        return stamp_seconds(msg.header.stamp) or self.now_s()

    def _drive(self) -> None:
        now = self.now_s()
        scan_age_s, odom_age_s = now - self._scan_s, now - self._odom_s
        self._step = self.shield.step(now, None, self._velocity, self._scan, scan_age_s, odom_age_s, self._odom_pose)
        self._publish(self._step.command)
        self._report(now, self._step, scan_age_s, odom_age_s)
        if self._markers_output.watched and not 0.0 <= now - self._shown_s < 0.9 / _PICTURES_HZ:
            self._shown_s = now
            head = header(self.get_clock().now().to_msg(), self.config.base_frame)
            self._markers_output.publish(markers_of(self.shield.picture(), head))

    def _publish(self, command: Twist2) -> None:
        twist = twist_to_msg(command)
        if self.config.stamped:
            twist = TwistStamped(header=header(self.get_clock().now().to_msg(), self.config.base_frame), twist=twist)
        self._output.publish(twist)

    def _report(self, now_s: float, step: ShieldStep, scan_age_s: float, odom_age_s: float) -> None:
        """Say what keeps the robot standing, once it has lasted for half a second."""
        standing = np.hypot(step.command.vx_mps, step.command.wz_radps) < _STANDS_MPS
        stops = {
            STALE_SCAN: f"{_age_text('scan', scan_age_s)}: check the lidar, its topic and its clock",
            STALE_ODOMETRY: f"{_age_text('odometry', odom_age_s)}, or not finite: check the base",
            OBSTACLE: f"an obstacle is {step.clearance_m:.2f} m from its outline while {step.source} drives: "
            "turn or back away; margin_m and speed_margin_s say how near it may go",
        }
        for reason, text in stops.items():
            stopped = standing and step.limited_by == reason
            self._since_s[reason] = min(self._since_s.get(reason, math.inf), now_s) if stopped else math.inf
            lasts = now_s - self._since_s[reason] > _SAID_AFTER_S
            self.diagnose(
                *((Level.WARN, f"robot stopped: {text}") if lasts else (Level.OK, f"no {reason} any more")), reason
            )


def _age_text(what: str, age_s: float) -> str:
    return f"{what} is {age_s:.1f} s old" if math.isfinite(age_s) else f"no {what} yet"


def markers_of(picture: ShieldPicture, head: Any) -> MarkerArray:
    """Return the picture as markers: footprint, both stopping tracks with their ends, limiting points, the reason."""
    color = _COLORS.get(picture.limited_by, _FREE)
    markers = [
        Marker(header=head, action=Marker.DELETEALL),
        _marker(head, "footprint", Marker.LINE_STRIP, _closed(picture.footprint_m), color, 0.03),
        _marker(head, "wanted", Marker.LINE_STRIP, picture.wanted_track[:, :2], _WANTED, 0.02),
        _marker(head, "wanted_stop", Marker.LINE_STRIP, _closed(picture.wanted_stop_m), _WANTED, 0.01),
        _marker(head, "chosen", Marker.LINE_STRIP, picture.chosen_track[:, :2], color, 0.02),
        _marker(head, "chosen_stop", Marker.LINE_STRIP, _closed(picture.chosen_stop_m), color, 0.01),
    ]
    if len(picture.limiting_m):
        markers.append(_marker(head, "limiting", Marker.POINTS, picture.limiting_m, _FAULT, 0.05))
    text = _marker(head, "reason", Marker.TEXT_VIEW_FACING, np.zeros((0, 2)), color, 0.12)
    text.text, text.pose.position = picture.reason, Point(z=0.6)
    return MarkerArray(markers=[*markers, text])


def _marker(head: Any, name: str, kind: int, xy: FloatArray, color: tuple[float, ...], size_m: float) -> Marker:
    """A marker of points (N, 2) a hand above the floor; size_m: width of lines, points and letters."""
    marker = Marker(header=head, ns=name, type=kind, color=ColorRGBA(r=color[0], g=color[1], b=color[2], a=1.0))
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = size_m
    marker.points = [Point(x=float(x), y=float(y), z=0.05) for x, y in xy]
    return marker


def _closed(corners: FloatArray) -> FloatArray:
    return np.vstack([corners, corners[:1]])


def warm_up(config: SafetyConfig) -> None:
    """Compile what the shield runs, so that its first step is as quick as the others, and the first at an obstacle."""
    shield = Shield(config, np.zeros(3))
    for distance_m in (1.0, config.outline.circumscribed_radius_m + config.margin_m):
        scan = Scan(np.full(8, distance_m, dtype=np.float32), -2.0, 0.5, 0.01, 10.0)
        for step in range(3):
            shield.step(0.05 * step, Twist2(0.5, 0.0, 0.5), Twist2(0.5), scan, 0.0)
    shield.picture()


main = node_main(SafetyNode)
