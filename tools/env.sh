# SPDX-License-Identifier: Apache-2.0
# The environment of every verb; sourced by ./axon, with AXON_ROOT set to the checkout.

export AXON_ROOT
AXON_STATE="$AXON_ROOT/.axon"
if [ -z "${HOME:-}" ]; then                             # without HOME rclpy.init fails
    export HOME="$AXON_STATE/home"
    mkdir -p "$HOME"
fi
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$AXON_STATE/numba}"

# The shipped Fast DDS profile: the default shared-memory segment is smaller than one camera image. Fast DDS 2, of the
# distributions up to Jazzy, reads the first name; the newer ones warn when they see it.
case "${ROS_DISTRO:-}" in
    humble | iron | jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$AXON_ROOT/config/fastdds.xml}" ;;
    *) export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$AXON_ROOT/config/fastdds.xml}" ;;
esac

# Let malloc keep image-sized blocks: by default each goes back to the kernel, and faulting its pages in again costs more
# than all copies of the image together (here: serialize a VGA image 2.4 -> 0.09 ms, deserialize 2.8 -> 0.12 ms).
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-33554432}"     # the largest value that glibc takes
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-134217728}"

# NumPy's and SciPy's OpenBLAS on one thread: its threads spin while they wait for each other, and on cores that a dozen
# nodes share they wait long (here: an L-BFGS over 170 variables 12 ms, with two threads beside other work 300 ms).
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"

# Without a screen MuJoCo draws through EGL, on Mesa's software renderer where there is no GPU.
if [ -z "${DISPLAY:-}" ]; then
    export MUJOCO_GL="${MUJOCO_GL:-egl}"
fi

# axon_prepend VARIABLE ENTRY: put a folder first in a search path, unless it is there.
axon_prepend() {
    case ":${!1:-}:" in
        *":$2:"*) ;;
        *) export "$1=$2${!1:+:${!1}}" ;;
    esac
}

# Paths of the virtual environment, the wheels and the built packages, written by ./axon setup.
if [ -f "$AXON_STATE/paths.sh" ]; then
    . "$AXON_STATE/paths.sh"
fi
