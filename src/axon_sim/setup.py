# SPDX-License-Identifier: Apache-2.0
from glob import glob

from setuptools import find_packages, setup

package_name = "axon_sim"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["assets/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/assets", sorted(glob("axon_sim/assets/*"))),
        (f"share/{package_name}/gazebo", sorted(glob("gazebo/*"))),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="Axon maintainers",
    maintainer_email="maintainers@axon-robotics.org",
    description="A mobile manipulator in MuJoCo worlds: sensors, actuators and /clock as a real ROS 2 robot has them",
    license="Apache-2.0",
    entry_points={"console_scripts": ["sim_node = axon_sim.node:main"]},
)
