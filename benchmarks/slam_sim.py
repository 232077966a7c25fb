# SPDX-License-Identifier: Apache-2.0
"""SLAM on the simulated robot, which drives to every goal of a world and home again, `--rounds` times.

The driver knows the true pose; SLAM gets colour and depth (10 Hz, 320x240), wheel odometry and the lidar, all with
their errors. Errors are of the base's position after an SE(3) alignment, beside those of the odometry alone.
`map_precision` is the share of the map's obstacle cells within 10 cm of a true obstacle at the lidar's height.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass, field

import numpy as np

from axon_core.geometry import se2_apply, se2_from_matrix, se2_to_matrix
from axon_core.grids import OCCUPIED, distance_field_m
from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.runtime import Navigator, NavStatus
from axon_sim.config import SimConfig
from axon_sim.simulator import Readings, Simulator
from axon_slam.config import SlamConfig
from axon_slam.evaluation import align, ate_m, rmse
from axon_slam.runtime import Slam, SlamResult, SlamState

CONTROL_PERIOD_S = 0.05
LEG_LIMIT_S = 90.0
LIDAR_HEIGHTS_M = (0.2, 0.25)
DRIVER = PlannerConfig(max_speed_mps=0.6, max_turn_radps=1.2, max_accel_mps2=1.0, max_decel_mps2=1.5)
CONFIG = SlamConfig(feature_count=600, occupancy_source="scan")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --json and --seed, which is the world's and the noise's."""
    parser.add_argument("--world", default="apartment", help="world to drive in (default: apartment)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="times around all goals (default: 2)")
    parser.add_argument("--no-odometry", action="store_true", help="withhold the wheel odometry from SLAM")


@dataclass
class Log:
    """One entry a frame, poses (4, 4) of the base: true in the world, by odometry, as SLAM told it."""

    truth: list[np.ndarray] = field(default_factory=list)
    odometry: list[np.ndarray] = field(default_factory=list)
    results: list[SlamResult] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)


def main(args: argparse.Namespace) -> dict[str, float]:
    """Drive, and return the errors."""
    simulator = Simulator.from_config(SimConfig(world=args.world, seed=args.seed))
    try:
        slam = Slam(CONFIG, simulator.camera, mount_of(simulator, "camera_color"))
        slam.warm_up()
        log, reached, legs = drive(simulator, slam, args.rounds, not args.no_odometry)
    finally:
        simulator.close()
    return {**metrics_of(log, slam), **map_metrics(simulator, slam, log), "goals_reached": reached, "goals": legs}


def mount_of(simulator: Simulator, camera: str) -> np.ndarray:
    """Return base_T_camera (4, 4) of the optical frame; MuJoCo's camera looks along -z, its y up."""
    base_T_camera = np.eye(4)
    base, seen = simulator.data.body("base_link"), simulator.data.camera(camera)
    base_R_world = base.xmat.reshape(3, 3).T
    base_T_camera[:3, :3] = base_R_world @ seen.xmat.reshape(3, 3) @ np.diag([1.0, -1.0, -1.0])
    base_T_camera[:3, 3] = base_R_world @ (seen.xpos - base.xpos)
    return base_T_camera


def drive(simulator: Simulator, slam: Slam, rounds: int, with_odometry: bool) -> tuple[Log, int, int]:
    """Drive all legs; return the log, how many goals were reached, and of how many."""
    navigator, log = Navigator(DRIVER), Log()
    navigator.warm_up()
    base_T_laser = laser_of(simulator)
    tour = [*simulator.world.goals.values(), simulator.start] * rounds
    reached = 0
    for goal in tour:
        navigator.set_goal(goal)
        reached += drive_leg(simulator, slam, navigator, base_T_laser, log, with_odometry)
    return log, reached, len(tour)


def laser_of(simulator: Simulator) -> np.ndarray:
    """Return base_T_laser (3,)."""
    base, laser = simulator.data.body("base_link"), simulator.data.site("laser")
    offset = base.xmat.reshape(3, 3).T @ (laser.xpos - base.xpos)
    return np.array([offset[0], offset[1], 0.0])


def drive_leg(
    simulator: Simulator, slam: Slam, navigator: Navigator, base_T_laser: np.ndarray, log: Log, with_odometry: bool
) -> bool:
    """Drive until the navigator is done; feed SLAM on the way. Return whether the goal was reached."""
    ticks_of_control = round(CONTROL_PERIOD_S * 100.0)
    begin_s, seen, ticks = simulator.time_s, Readings(simulator.time_s), 0
    scan = scan_s = None
    while simulator.time_s - begin_s < LEG_LIMIT_S:
        readings = simulator.step(render=True)
        seen = readings if readings.odometry is not None else seen
        if readings.scan is not None:
            scan, scan_s = readings.scan, simulator.time_s
        if readings.images is not None and seen.odometry is not None:
            observe(simulator, slam, readings, seen, scan, base_T_laser, log, with_odometry)
        ticks += 1
        if ticks % ticks_of_control or scan is None:
            continue
        truth = simulator.truth()
        age_s = simulator.time_s - scan_s
        step = navigator.step(simulator.time_s, truth.pose, truth.velocity, scan, base_T_laser, age_s)
        simulator.command_velocity(step.command)
        if step.over:
            simulator.command_velocity(Twist2())
            return step.status is NavStatus.REACHED
    return False


def observe(
    simulator: Simulator,
    slam: Slam,
    readings: Readings,
    seen: Readings,
    scan: object,
    base_T_laser: np.ndarray,
    log: Log,
    with_odometry: bool,
) -> None:
    """Give SLAM what was measured now."""
    odom_T_base = se2_to_matrix(seen.odometry.pose)
    images = readings.images
    began = time.perf_counter()
    result = slam.step(
        simulator.time_s, images.color, images.depth_m, odom_T_base if with_odometry else None, scan, base_T_laser
    )
    log.step_s.append(time.perf_counter() - began)
    log.truth.append(se2_to_matrix(simulator.truth().pose))
    log.odometry.append(odom_T_base)
    log.results.append(result)


def metrics_of(log: Log, slam: Slam) -> dict[str, float]:
    truth = np.array(log.truth)[:, :3, 3]
    final = slam.trajectory()[1][:, :3, 3]
    if len(final) != len(truth):
        raise ValueError(f"the map began only after {len(truth) - len(final)} of {len(truth)} frames")
    online = np.array([result.map_T_base for result in log.results])[:, :3, 3]
    return {
        "ate_rmse_m": rmse(ate_m(final, truth)),
        "ate_online_rmse_m": rmse(ate_m(online, truth)),
        "ate_max_m": float(ate_m(final, truth).max()),
        "ate_odometry_rmse_m": rmse(ate_m(np.array(log.odometry)[:, :3, 3], truth)),
        "length_m": float(np.linalg.norm(np.diff(truth, axis=0), axis=1).sum()),
        "frames": len(truth),
        "lost_share": float(np.mean([result.state is SlamState.LOST for result in log.results])),
        "without_pose_share": float(np.mean([result.matches == 0 for result in log.results])),
        "keyframes": len(slam.map),
        "edges": len(slam.map.edges),
        "loops": slam.loops,
        "step_p50_ms": 1e3 * float(np.median(log.step_s)),
        "step_p95_ms": 1e3 * float(np.percentile(log.step_s, 95)),
        "step_max_ms": 1e3 * max(log.step_s),
    }


def map_metrics(simulator: Simulator, slam: Slam, log: Log) -> dict[str, float]:
    """Compare the occupancy map, moved as the trajectory was aligned, with the world."""
    grid, truth = slam.grid(), simulator.world.ground_truth_grid(0.05, *LIDAR_HEIGHTS_M)
    if grid is None:
        return {"map_precision": math.nan}
    world_T_map = se2_from_matrix(align(slam.trajectory()[1][:, :3, 3], np.array(log.truth)[:, :3, 3]))
    drawn = se2_apply(world_T_map, grid.centers_of(np.argwhere(grid.data == OCCUPIED)))
    cells = truth.cells_of(drawn)
    inside = truth.contains(cells)
    to_truth = distance_field_m(truth.data == OCCUPIED, truth.resolution_m)
    near = to_truth[tuple(cells[inside].T)] <= 0.1
    return {"map_precision": float(near.sum() / len(drawn))}
