# SPDX-License-Identifier: Apache-2.0
# The environment of every verb; sourced by ./axon with AXON_ROOT set to the checkout.

export AXON_ROOT
AXON_STATE="$AXON_ROOT/.axon"
export HOME="${HOME:-$AXON_STATE/home}"                       # without HOME rclpy.init fails
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$AXON_STATE/numba}"

# The shipped Fast DDS profile: the default shared-memory segment is smaller than one camera image.
if [ -z "${FASTDDS_DEFAULT_PROFILES_FILE:-}" ] && [ -f "$AXON_ROOT/config/fastdds.xml" ]; then
    export FASTDDS_DEFAULT_PROFILES_FILE="$AXON_ROOT/config/fastdds.xml"
    export FASTRTPS_DEFAULT_PROFILES_FILE="$AXON_ROOT/config/fastdds.xml"   # the name that Fast DDS 2 reads
fi

# Draw off screen unless a window is there; EGL on Mesa needs no screen.
if [ -z "${MUJOCO_GL:-}" ] && [ -z "${DISPLAY:-}" ]; then
    export MUJOCO_GL=egl
fi

# Paths of the virtual environment, the wheels and the built packages, written by ./axon setup.
if [ -f "$AXON_STATE/paths.sh" ]; then
    . "$AXON_STATE/paths.sh"
fi
