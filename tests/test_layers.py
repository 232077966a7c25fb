# SPDX-License-Identifier: Apache-2.0
"""The layers of STYLE.md, held by a walk over every import of the tree."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SKILLS = {"axon_detector", "axon_depth", "axon_slam", "axon_planner", "axon_policy", "axon_grasp"}
"""No skill imports another. These and the packages below are all that may import each other downward."""
LAYERS = [
    {"axon_core"},
    {"axon_ros"},
    {*SKILLS, "axon_safety", "axon_sim"},
    {"axon_mission"},
    {"axon_demo"},
]
ABOVE_ALL = {"training", "benchmarks", "examples"}
CORE_LIBRARIES = {"numpy", "scipy", "numba", "yaml"}
SPDX = "SPDX-License-Identifier: Apache-2.0"
ROSDEP_KEYS = {
    "numpy": "python3-numpy",
    "scipy": "python3-scipy",
    "yaml": "python3-yaml",
    "cv2": "python3-opencv",
    "numba": "python3-numba",
    "jinja2": "python3-jinja2",
}
"""What rosdep calls the libraries that it knows; the others come from PyPI alone."""
SOURCES = (".py", ".sh", ".yaml", ".yml", ".toml", ".xml", ".msg", ".srv", ".action", ".cmake", ".cfg", ".txt")
DATA_FOLDERS = {"assets", "data"}


def tracked_files():
    """All files that git knows or would know."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [Path(name) for name in listed if (ROOT / name).is_file()]


def modules():
    """Every Python module of a package in src: package, path in the package, and path in the tree."""
    for path in tracked_files():
        parts = path.parts
        if path.suffix == ".py" and len(parts) > 3 and parts[0] == "src" and parts[2] == parts[1]:
            yield parts[1], Path(*parts[3:]), path


def imports(path):
    """The top-level names that a file imports, wherever in the file, with the line."""
    return imports_of((ROOT / path).read_text(), path)


def imports_of(source, path="text"):
    found = []
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.module.split(".")[0], node.lineno))
    return found


def layer(package):
    return next((number for number, packages in enumerate(LAYERS) if package in packages), None)


def speaks_ros(name):
    """Whether a module of this name brings ROS in."""
    ros = {"rclpy", "tf2_ros", "cv_bridge", "axon_ros", "builtin_interfaces", "rcl_interfaces", "message_filters"}
    return name in ros or name.endswith("_msgs") or name in {"std_srvs", "rosidl_runtime_py"}


def may_speak_ros(package, inner):
    """ROS is known to axon_ros, and to the files of a package that are its nodes."""
    return package == "axon_ros" or inner.name == "node.py" or inner.name.endswith("_node.py")


def violations(package, inner, found):
    """What is wrong with the imports of one module."""
    for name, line in found:
        where = f"{package}/{inner}:{line} imports {name}"
        if name in ABOVE_ALL:
            yield f"{where}, which lies above all packages"
        if name == "torch" and not (inner.name == "model.py" or inner.name.endswith("_model.py")):
            yield f"{where}: PyTorch belongs to model.py, NAME_model.py and training"
        if speaks_ros(name) and not may_speak_ros(package, inner):
            yield f"{where}: ROS belongs to node.py and axon_ros"
        if package == "axon_core" and name not in allowed_in_core(inner):
            yield f"{where}: axon_core knows {', '.join(sorted(CORE_LIBRARIES))} only"
        if layer(name) is not None and name != package and layer(name) >= layer(package):
            yield f"{where}, which is not below it"


def allowed_in_core(inner):
    extra = {"onnxruntime"} if inner.name == "inference.py" else set()
    return set(sys.stdlib_module_names) | CORE_LIBRARIES | {"axon_core"} | extra


def test_every_package_has_its_layer():
    unknown = {package for package, *_ in modules() if layer(package) is None}
    assert not unknown, "give it a place in LAYERS"


def test_imports_go_downward():
    assert [text for package, inner, path in modules() for text in violations(package, inner, imports(path))] == []


@pytest.mark.parametrize(
    ("package", "inner", "line"),
    [
        ("axon_core", "grids.py", "import cv2"),
        ("axon_core", "grids.py", "import onnxruntime"),
        ("axon_core", "grids.py", "from axon_ros import qos"),
        ("axon_planner", "runtime.py", "import rclpy.node"),
        ("axon_planner", "runtime.py", "from sensor_msgs.msg import LaserScan"),
        ("axon_planner", "runtime.py", "def late():\n    from axon_ros import qos"),
        ("axon_planner", "runtime.py", "import torch"),
        ("axon_planner", "node.py", "from axon_slam.runtime import Slam"),
        ("axon_planner", "node.py", "import training.refiner"),
        ("axon_ros", "inputs.py", "import axon_planner"),
        ("axon_safety", "shield.py", "from axon_planner import runtime"),
    ],
)
def test_an_import_upward_is_noticed(package, inner, line):
    assert list(violations(package, Path(inner), imports_of(line)))


@pytest.mark.parametrize(
    ("package", "inner", "line"),
    [
        ("axon_core", "inference.py", "import onnxruntime"),
        ("axon_planner", "node.py", "import rclpy\nfrom axon_ros import SkillNode\nfrom axon_core import grids"),
        ("axon_planner", "model.py", "import torch"),
        ("axon_planner", "guide_model.py", "import torch"),
        ("axon_demo", "director_node.py", "from axon_sim.worlds import World\nimport rclpy"),
    ],
)
def test_an_import_downward_is_fine(package, inner, line):
    assert not list(violations(package, Path(inner), imports_of(line)))


def test_packages_declare_what_they_import():
    """A ROS distribution installs what package.xml names, and nothing else."""
    undeclared = set()
    for package, _, path in modules():
        manifest = (ROOT / "src" / package / "package.xml").read_text()
        declared = set(re.findall(r"<(?:exec_)?depend[^>]*>([^<]+)<", manifest))
        names = {name for name, _ in imports(path)} - {package}
        needed = {ROSDEP_KEYS.get(n, n) for n in names if speaks_ros(n) or layer(n) is not None or n in ROSDEP_KEYS}
        undeclared |= {f"{package}: {name}" for name in needed - declared}
    assert undeclared == set()


def test_relative_imports_stay_in_their_package():
    """None climbs out by dots, which the walk above would not see."""
    for _, inner, path in modules():
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= len(inner.parts), f"{path}:{node.lineno}"


def test_every_source_says_its_licence():
    sources = [path for path in tracked_files() if path.suffix in SOURCES and not DATA_FOLDERS & set(path.parts[:-1])]
    silent = [str(path) for path in sources if SPDX not in (ROOT / path).read_text(errors="replace")[:1000]]
    assert silent == []


def test_no_source_knows_a_place_of_one_machine():
    """No absolute path of a home or workplace in what is shipped, so that a checkout works wherever it lies."""
    place = re.compile(r"/(?:home|root|work|Users)/\w")
    guilty = [
        f"{path}:{number}"
        for path in tracked_files()
        if path.suffix in SOURCES and not {"test", "tests"} & set(path.parts[:-1])
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if place.search(line)
    ]
    assert guilty == []


def test_nothing_generated_is_tracked():
    generated = re.compile(r"(^|/)__pycache__/|\.(pyc|nbi|nbc|so)$")
    assert [str(path) for path in tracked_files() if generated.search(str(path))] == []
