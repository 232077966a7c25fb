# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

PACKAGE = "axon_policy"

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
    description="Drives to a goal by a learned policy, under the safety shield.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["policy_node = axon_policy.node:main"]},
)
