# SPDX-License-Identifier: Apache-2.0
"""The robot's two descriptions agree, and it is the robot that the contract promises."""

from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from axon_sim import robot
from axon_sim.urdf import urdf_text


@pytest.fixture(scope="module")
def model():
    return robot.load_robot_spec().compile()


@pytest.fixture(scope="module")
def urdf():
    return ElementTree.fromstring(robot.load_urdf().encode())


def vector(element, name):
    return np.array([float(v) for v in element.get(name).split()])


def origin_matrix(element):
    origin, matrix = element.find("origin"), np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", vector(origin, "rpy")).as_matrix()
    matrix[:3, 3] = vector(origin, "xyz")
    return matrix


def urdf_link_poses(urdf, positions):
    """Forward kinematics of the URDF text alone: base_T_link (4, 4) by link name."""
    joints = {joint.find("child").get("link"): joint for joint in urdf.findall("joint")}

    def pose(link):
        if link not in joints:
            return np.eye(4)
        joint = joints[link]
        motion = np.eye(4)
        if joint.get("type") in ("revolute", "continuous"):
            motion[:3, :3] = Rotation.from_rotvec(
                vector(joint.find("axis"), "xyz") * positions[joint.get("name")]
            ).as_matrix()
        elif joint.get("type") == "prismatic":
            motion[:3, 3] = vector(joint.find("axis"), "xyz") * positions[joint.get("name")]
        return pose(joint.find("parent").get("link")) @ origin_matrix(joint) @ motion

    return {link.get("name"): pose(link.get("name")) for link in urdf.findall("link")}


def test_urdf_file_is_what_the_mjcf_says():
    assert robot.load_urdf() == urdf_text(), "run python -m axon_sim.urdf"


def test_link_poses_agree_at_random_configurations(model, urdf):
    rng = np.random.default_rng(4)
    data = mujoco.MjData(model)
    for _ in range(20):
        positions = {}
        for name in robot.JOINT_ORDER:
            lower, upper = model.joint(name).range if model.jnt_limited[model.joint(name).id] else (-np.pi, np.pi)
            positions[name] = data.joint(name).qpos[0] = rng.uniform(lower, upper)
        mujoco.mj_kinematics(model, data)
        for link, expected in urdf_link_poses(urdf, positions).items():
            np.testing.assert_allclose(data.body(link).xpos, expected[:3, 3], atol=1e-6, err_msg=link)
            np.testing.assert_allclose(data.body(link).xmat.reshape(3, 3), expected[:3, :3], atol=1e-6, err_msg=link)


def test_same_joints_and_limits(model, urdf):
    moving = {joint.get("name"): joint for joint in urdf.findall("joint") if joint.get("type") != "fixed"}
    assert set(moving) == set(robot.JOINT_ORDER)
    for name, joint in moving.items():
        if joint.get("type") == "continuous":
            assert not model.jnt_limited[model.joint(name).id]
            continue
        limit = joint.find("limit")
        np.testing.assert_allclose([float(limit.get("lower")), float(limit.get("upper"))], model.joint(name).range)
        assert float(limit.get("effort")) > 0.0 and float(limit.get("velocity")) > 0.0


def test_inertials_are_physical_and_agree(model, urdf):
    for link in urdf.findall("link"):
        inertial = link.find("inertial")
        if inertial is None:
            continue
        assert float(inertial.find("mass").get("value")) == pytest.approx(model.body(link.get("name")).mass[0])
        inertia = inertial.find("inertia")
        ixx, iyy, izz = sorted(float(inertia.get(key)) for key in ("ixx", "iyy", "izz"))
        assert ixx > 0.0 and ixx + iyy >= izz  # of any real body


def test_frames_of_the_contract(urdf):
    links = {link.get("name") for link in urdf.findall("link")}
    assert {"base_link", "laser_link", "imu_link", "camera_link", "camera_color_optical_frame", "gripper_tcp"} <= links
    poses = urdf_link_poses(urdf, dict.fromkeys(robot.JOINT_ORDER, 0.0))
    forward_in_base = poses["camera_color_optical_frame"][:3, 2]
    down_in_base = poses["camera_color_optical_frame"][:3, 1]
    np.testing.assert_allclose(forward_in_base, [1, 0, 0], atol=1e-8)  # REP-103: z of an optical frame looks ahead
    np.testing.assert_allclose(down_in_base, [0, 0, -1], atol=1e-8)
    np.testing.assert_allclose(poses["laser_link"][:3, :3], np.eye(3), atol=1e-8)


def test_folded_robot_stays_over_its_footprint(model):
    data = mujoco.MjData(model)
    for name, angle in zip(robot.ARM_JOINTS, robot.ARM_FOLDED_RAD, strict=True):
        data.joint(name).qpos = angle
    mujoco.mj_kinematics(model, data)
    half = 0.5 * np.array([robot.BASE_LENGTH_M, robot.BASE_WIDTH_M])
    for geom in range(model.ngeom):
        if model.geom(geom).name.startswith("wheel"):
            continue  # contact spheres that only the floor meets
        center, extent = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        corners = center + extent * np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T
        world = data.geom_xpos[geom] + corners @ data.geom_xmat[geom].reshape(3, 3).T
        assert (np.abs(world[:, :2]) <= half + 1e-6).all(), (geom, model.body(model.geom_bodyid[geom]).name)


def test_arm_reaches_tables_in_front(model):
    """The tool reaches straight down onto tables from 0.40 to 0.75 m height, 0.25 m beyond the base's front edge."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)  # at zero the arm is stretched ahead
    shoulder, elbow, wrist, tip = (
        data.body(name).xpos for name in ("arm_upper_link", "arm_forearm_link", "arm_wrist_link", "gripper_tcp")
    )
    upper, forearm, tool = np.linalg.norm([elbow - shoulder, wrist - elbow, tip - wrist], axis=1)
    for height in (0.40, 0.75):
        wrist_above = np.array([0.5 * robot.BASE_LENGTH_M + 0.25, 0.0, height + 0.05 + tool])
        assert abs(upper - forearm) < np.linalg.norm(wrist_above - shoulder) < upper + forearm


def test_gazebo_files_name_what_the_robot_has(urdf):
    folder = Path(__file__).parents[1] / "gazebo"
    plugins = ElementTree.parse(folder / "plugins.urdf").getroot()
    links = {link.get("name") for link in urdf.findall("link")}
    assert {block.get("reference") for block in plugins.findall("gazebo")} - {None} <= links
    assert {frame.text for frame in plugins.iter("gz_frame_id")} <= links
    drive = plugins.find("gazebo/plugin")
    assert float(drive.find("wheel_separation").text) == robot.WHEEL_TRACK_M
    assert float(drive.find("wheel_radius").text) == robot.WHEEL_RADIUS_M
    bridged = {entry["ros_topic_name"] for entry in yaml.safe_load((folder / "bridge.yaml").read_text())}
    assert {"/clock", "scan", "imu", "odom", "/tf", "joint_states", "cmd_vel", "camera/depth/image_raw"} <= bridged
