# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

PACKAGE = "axon_core"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "scipy", "PyYAML"],
    zip_safe=True,
    maintainer="Axon maintainers",
    maintainer_email="maintainers@axon-robotics.org",
    description="ROS-free core of Axon: geometry, scans, grids, footprints, cameras, timing, models, inference.",
    license="Apache-2.0",
)
