# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

PACKAGE = "axon_mission"

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
    description="The executive: find an object, go to it, pick it up, bring it, with a reason for every failure.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["mission_node = axon_mission.node:main"]},
)
