# SPDX-License-Identifier: Apache-2.0
from setuptools import setup

package = "axon_launch"

setup(
    name=package,
    version="0.1.0",
    packages=[package],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    install_requires=["setuptools", "PyYAML"],
    zip_safe=True,
    maintainer="Axon maintainers",
    maintainer_email="maintainers@axon-robotics.org",
    description="Runs the YAML launch files of ros2 launch where ros2 launch is not installed.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["axon_launch = axon_launch.cli:main"]},
)
