# SPDX-License-Identifier: Apache-2.0
from setuptools import setup

package = "cv_bridge"

setup(
    name=package,
    version="0.1.0",
    packages=[package],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy"],
    zip_safe=True,
    maintainer="Axon maintainers",
    maintainer_email="maintainers@axon-robotics.org",
    description="Converts between sensor_msgs images and OpenCV arrays, in pure Python, for OpenCV 4 and 5.",
    license="Apache-2.0",
)
