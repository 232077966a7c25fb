# SPDX-License-Identifier: Apache-2.0
from setuptools import setup

package = "axon_demo"

setup(
    name=package,
    version="0.1.0",
    packages=[package],
    package_data={package: ["templates/*.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "mcap", "rosbags", "jinja2"],
    zip_safe=False,
    maintainer="Axon maintainers",
    maintainer_email="maintainers@axon-robotics.org",
    description="Drives the robot through a world's goals, records the run and tells about it.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "director_node = axon_demo.director_node:main",
            "recorder_node = axon_demo.recorder_node:main",
        ]
    },
)
