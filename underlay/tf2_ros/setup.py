# SPDX-License-Identifier: Apache-2.0
from setuptools import setup

package = "tf2_ros"

setup(
    name=package,
    version="0.1.0",
    packages=["tf2_ros", "tf2_py", "tf2_geometry_msgs"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy"],
    zip_safe=True,
    maintainer="Axon maintainers",
    maintainer_email="maintainers@axon-robotics.org",
    description="The transform buffer, listener and broadcasters of tf2 for rclpy, in pure Python.",
    license="Apache-2.0",
)
