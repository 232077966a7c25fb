# SPDX-License-Identifier: Apache-2.0
"""Writes the robot's URDF from its MJCF, so that the two cannot drift apart: `python -m axon_sim.urdf`.

Every body becomes a link and every joint a joint of the same name; a body without a joint hangs on `<name>_fixed`.
"""

import warnings
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from axon_sim import robot

VISUAL_GROUP = 2
HEADER = (
    "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
    "<!-- Written by axon_sim.urdf from axon_robot.xml: change that. -->\n"
)
MAX_SPEEDS = {
    **dict(zip(robot.ARM_JOINTS, robot.ARM_MAX_SPEEDS_RADPS, strict=True)),
    **dict(zip(robot.CAMERA_JOINTS, robot.CAMERA_MAX_SPEEDS_RADPS, strict=True)),
    **dict.fromkeys(robot.FINGER_JOINTS, 0.05),
    **dict.fromkeys(robot.WHEEL_JOINTS, 30.0),
}


def urdf_text() -> str:
    """Return the URDF of the robot in assets/axon_robot.xml."""
    model = robot.load_robot_spec().compile()
    root = ElementTree.Element("robot", name="axon_robot")
    _add_materials(root, model)
    for body in range(1, model.nbody):
        _add_link(root, model, body)
    for body in range(2, model.nbody):
        _add_joint(root, model, body)
    ElementTree.indent(root)
    return f'<?xml version="1.0"?>\n{HEADER}{ElementTree.tostring(root, encoding="unicode")}\n'


def _add_materials(root: ElementTree.Element, model: mujoco.MjModel) -> None:
    for index in range(model.nmat):
        material = ElementTree.SubElement(root, "material", name=model.mat(index).name)
        ElementTree.SubElement(material, "color", rgba=_numbers(np.round(model.mat_rgba[index], 4)))


def _add_link(root: ElementTree.Element, model: mujoco.MjModel, body: int) -> None:
    link = ElementTree.SubElement(root, "link", name=model.body(body).name)
    if model.body_mass[body] > 0.0:
        _add_inertial(link, model, body)
    for geom in np.flatnonzero(model.geom_bodyid == body):
        seen = model.geom_group[geom] == VISUAL_GROUP
        _add_shape(link, model, int(geom), "visual" if seen else "collision")


def _add_inertial(link: ElementTree.Element, model: mujoco.MjModel, body: int) -> None:
    inertial = ElementTree.SubElement(link, "inertial")
    _add_origin(inertial, model.body_ipos[body], model.body_iquat[body])
    ElementTree.SubElement(inertial, "mass", value=_number(model.body_mass[body]))
    ixx, iyy, izz = (_number(value) for value in model.body_inertia[body])
    ElementTree.SubElement(inertial, "inertia", ixx=ixx, iyy=iyy, izz=izz, ixy="0", ixz="0", iyz="0")


def _add_shape(link: ElementTree.Element, model: mujoco.MjModel, geom: int, tag: str) -> None:
    """Add a geom; a capsule becomes the cylinder that encloses it, as URDF has none."""
    shape = ElementTree.SubElement(link, tag)
    _add_origin(shape, model.geom_pos[geom], model.geom_quat[geom])
    geometry = ElementTree.SubElement(shape, "geometry")
    kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        ElementTree.SubElement(geometry, "box", size=_numbers(2.0 * size))
    elif kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        ElementTree.SubElement(geometry, "sphere", radius=_number(size[0]))
    elif kind in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE):
        caps = size[0] if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
        ElementTree.SubElement(geometry, "cylinder", radius=_number(size[0]), length=_number(2.0 * (size[1] + caps)))
    else:
        raise ValueError(f"geom {geom} of {link.get('name')}: URDF has no {kind.name}")
    if tag == "visual":
        ElementTree.SubElement(shape, "material", name=model.mat(model.geom_matid[geom]).name)


def _add_joint(root: ElementTree.Element, model: mujoco.MjModel, body: int) -> None:
    index = int(model.body_jntadr[body])
    name = model.joint(index).name if index >= 0 else f"{model.body(body).name}_fixed"
    element = ElementTree.SubElement(root, "joint", name=name, type=_joint_kind(model, index))
    ElementTree.SubElement(element, "parent", link=model.body(model.body_parentid[body]).name)
    ElementTree.SubElement(element, "child", link=model.body(body).name)
    _add_origin(element, model.body_pos[body], model.body_quat[body])
    if index < 0:
        return
    ElementTree.SubElement(element, "axis", xyz=_numbers(model.jnt_axis[index]))
    limit = ElementTree.SubElement(
        element, "limit", effort=_number(_max_effort(model, index)), velocity=_number(MAX_SPEEDS[name])
    )
    if model.jnt_limited[index]:
        lower, upper = model.jnt_range[index]
        limit.set("lower", _number(lower))
        limit.set("upper", _number(upper))
    ElementTree.SubElement(element, "dynamics", damping=_number(model.dof_damping[model.jnt_dofadr[index]]))
    if name == robot.FINGER_JOINTS[1]:
        ElementTree.SubElement(element, "mimic", joint=robot.FINGER_JOINTS[0])


def _joint_kind(model: mujoco.MjModel, index: int) -> str:
    if index < 0:
        return "fixed"
    if model.jnt_type[index] == mujoco.mjtJoint.mjJNT_SLIDE:
        return "prismatic"
    return "revolute" if model.jnt_limited[index] else "continuous"


def _max_effort(model: mujoco.MjModel, joint: int) -> float:
    driven_by = np.flatnonzero(model.actuator_trnid[:, 0] == joint)
    return float(model.actuator_forcerange[driven_by[0], 1]) if len(driven_by) else robot.GRIPPER_MAX_FORCE_N


def _add_origin(parent: ElementTree.Element, position: np.ndarray, quat_wxyz: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # at a pitch of 90 degrees any split of roll and yaw will do
        rpy = Rotation.from_quat(np.roll(quat_wxyz, -1)).as_euler("xyz")
    ElementTree.SubElement(parent, "origin", xyz=_numbers(position), rpy=_numbers(rpy))


def _numbers(values: np.ndarray) -> str:
    return " ".join(_number(value) for value in values)


def _number(value: float) -> str:
    return f"{round(float(value), 9) + 0.0:.9g}"


if __name__ == "__main__":
    target = Path(__file__).parent / "assets" / "axon_robot.urdf"
    target.write_text(urdf_text(), encoding="utf-8")
    print(f"wrote {target}")
