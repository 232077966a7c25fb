# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

PACKAGE = "axon_planner"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="Axon maintainers",
    maintainer_email="maintainers@axon-robotics.org",
    description="Costmap, A*, path refiner and tracker: plans and drives to a pose behind Nav2's action interfaces.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["planner_node = axon_planner.node:main"]},
)
