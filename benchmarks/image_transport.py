# SPDX-License-Identifier: Apache-2.0
"""How long an image takes from one process's array to another's, and what its conversions cost beside rosbags-image.

Transport: a child process turns a 640x480 rgb8 array into a message and publishes it (reliable, depth 5) at 30 Hz; this
process reads it best effort (depth 5) and turns it into an array. Latency runs from before the first conversion to
after the last, by the monotonic clock that both processes share. Images that never arrive are ``lost``.

Conversions: each case runs both libraries alternately on the same pixels; a ratio is the median time of ours over
theirs, and the headline ratio is the median over the cases.

- ``imgmsg_to_cv2``: our ``CvBridge.imgmsg_to_cv2`` and their ``message_to_cvimage`` on the same message object.
- ``cv2_to_imgmsg``: rosbags-image has no function for this direction, so both go all the way from an array to what a
  publisher takes: ours to a ``sensor_msgs/Image`` of rclpy, theirs to the ``Image`` dataclass of rosbags (pixels
  viewed, not copied) and through ``serialize_cdr``, without which it can leave neither process nor memory.
- ``cv2_to_imgmsg_copy``: ours against the bare rosbags dataclass with copied pixels, which cannot be published. Both
  are one memcpy; ours adds rclpy's message and the check of the encoding, so this one is above 1.
- ``cv2_to_imgmsg_cdr``: both all the way to serialised bytes, ours through rclpy's own serialisation, which copies the
  pixels twice more: above 2. What rclpy costs a publisher in Python, not what the bridge costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import rclpy
from cv_bridge import CvBridge
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

HEIGHT, WIDTH = 480, 640
DISCOVERY_TIMEOUT_S = 30.0
CASES = (  # encoding of the message, encoding asked for
    ("rgb8", "passthrough"),
    ("rgb8", "bgr8"),
    ("mono8", "passthrough"),
    ("32FC1", "passthrough"),
    ("16UC1", "passthrough"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to publish images (default: 20)")
    parser.add_argument("--rate", type=float, default=30.0, help="images a second (default: 30)")
    parser.add_argument("--repeats", type=int, default=300, help="timed rounds of each conversion (default: 300)")


def main(args: argparse.Namespace) -> dict[str, float]:
    """Run both halves; returns flat numbers."""
    rng = np.random.default_rng(args.seed)
    return {**measure_transport(args.seconds, args.rate, args.seed), **measure_conversions(rng, args.repeats)}


def random_image(encoding: str, rng: np.random.Generator) -> np.ndarray:
    """A VGA image of the encoding: (480, 640) or (480, 640, 3)."""
    dtype, channels = CvBridge().encoding_to_dtype_with_channels(encoding)
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return (rng.random(shape) * 200).astype(dtype)


def measure_transport(seconds: float, rate_hz: float, seed: int) -> dict[str, float]:
    """Publish from a child process and read here: sent, lost, latency percentiles in ms."""
    sent = round(seconds * rate_hz)
    latencies_ms: dict[int, float] = {}
    bridge = CvBridge()

    def receive(msg: Image) -> None:
        bridge.imgmsg_to_cv2(msg, "rgb8")
        stamp_ns = msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec
        latencies_ms[int(msg.header.frame_id)] = (time.monotonic_ns() - stamp_ns) / 1e6

    topic = f"axon_bench/image_{os.getpid()}"  # two runs at once must not read each other's images
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        node = rclpy.create_node("image_reader", context=context)
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_subscription(Image, topic, receive, qos)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        command = [sys.executable, __file__, "--publish", str(sent), "--topic", topic]
        command += ["--rate", str(rate_hz), "--seed", str(seed)]
        _spin_while_running(executor, subprocess.Popen(command), seconds + DISCOVERY_TIMEOUT_S)
    finally:
        rclpy.try_shutdown(context=context)
    return _transport_numbers(sent, latencies_ms)


def _spin_while_running(executor: SingleThreadedExecutor, publisher: subprocess.Popen, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    try:
        while publisher.poll() is None:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the publisher did not end within {timeout_s} s")
            executor.spin_once(timeout_sec=0.1)
    finally:
        publisher.kill()
        publisher.wait()
    if publisher.returncode != 0:
        raise ConnectionError(f"the publisher ended with exit code {publisher.returncode}, see above")


def _transport_numbers(sent: int, latencies_ms: dict[int, float]) -> dict[str, float]:
    if not latencies_ms:
        raise ConnectionError(
            f"none of {sent} images arrived: run this through ./axon, which sets the Fast DDS profile"
        )
    p50, p95, worst = np.percentile(list(latencies_ms.values()), [50, 95, 100])
    return {
        "sent": sent,
        "lost": sent - len(latencies_ms),
        "latency_p50_ms": round(float(p50), 3),
        "latency_p95_ms": round(float(p95), 3),
        "latency_max_ms": round(float(worst), 3),
    }


def publish(topic: str, count: int, rate_hz: float, seed: int) -> None:
    """The child process: ``count`` images, numbered in frame_id and stamped with the monotonic clock."""
    rclpy.init()
    node = rclpy.create_node("image_writer")
    publisher = node.create_publisher(Image, topic, QoSProfile(depth=5))
    deadline_s = time.monotonic() + DISCOVERY_TIMEOUT_S
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"no reader within {DISCOVERY_TIMEOUT_S} s")
        time.sleep(0.05)
    time.sleep(1.0)  # a best-effort reader gets nothing until it, too, knows the writer
    image, bridge = random_image("rgb8", np.random.default_rng(seed)), CvBridge()
    start_s = time.monotonic()
    for i in range(count):
        time.sleep(max(0.0, start_s + i / rate_hz - time.monotonic()))
        stamp_ns = time.monotonic_ns()
        msg = bridge.cv2_to_imgmsg(image, "rgb8")
        msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        msg.header.frame_id = str(i)
        publisher.publish(msg)
    time.sleep(0.5)
    rclpy.shutdown()


def measure_conversions(rng: np.random.Generator, repeats: int) -> dict[str, float]:
    """Median times (us) and ratios of every case in both directions."""
    numbers: dict[str, float] = {}
    directions = ("cv2_to_imgmsg", "imgmsg_to_cv2", "cv2_to_imgmsg_copy", "cv2_to_imgmsg_cdr")
    ratios: dict[str, list[float]] = {direction: [] for direction in directions}
    for encoding, wanted in CASES:
        pairs = _pairs(random_image(encoding, rng), encoding, wanted)
        for direction, (ours, theirs) in pairs.items():
            ours_us, theirs_us = _alternate(ours, theirs, repeats)
            ratios[direction].append(ours_us / theirs_us)
            case = f"{direction}_{encoding}" + ("" if wanted == "passthrough" else f"_to_{wanted}")
            numbers[f"{case}_us"] = round(ours_us, 2)
            numbers[f"{case}_ratio"] = round(ours_us / theirs_us, 3)
    return {**{f"ratio_{key}": round(statistics.median(all_), 3) for key, all_ in ratios.items()}, **numbers}


def _pairs(image: np.ndarray, encoding: str, wanted: str) -> dict[str, tuple[Callable, Callable]]:
    """For each direction ours and theirs, checked to give the same pixels. Writing converts nothing: one case each."""
    from rosbags.image import message_to_cvimage
    from rosbags.typesys import Stores, get_typestore

    store, bridge = get_typestore(Stores.ROS2_JAZZY), CvBridge()
    types = store.types
    message, header, stamp = (
        types[name] for name in ("sensor_msgs/msg/Image", "std_msgs/msg/Header", "builtin_interfaces/msg/Time")
    )

    def their_message(data: np.ndarray):
        return message(
            header=header(stamp=stamp(sec=0, nanosec=0), frame_id=""),
            height=image.shape[0],
            width=image.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=image.strides[0],
            data=data,
        )

    flat, msg = image.reshape(-1).view(np.uint8), bridge.cv2_to_imgmsg(image, encoding)
    their_wanted = None if wanted == "passthrough" else wanted
    reading = (lambda: bridge.imgmsg_to_cv2(msg, wanted), lambda: message_to_cvimage(msg, their_wanted))
    np.testing.assert_array_equal(reading[0](), reading[1]())
    if wanted != "passthrough":
        return {"imgmsg_to_cv2": reading}
    np.testing.assert_array_equal(np.frombuffer(msg.data, np.uint8), their_message(flat).data)

    def write():
        return bridge.cv2_to_imgmsg(image, encoding)

    def their_write():
        return store.serialize_cdr(their_message(flat), "sensor_msgs/msg/Image")

    return {
        "imgmsg_to_cv2": reading,
        "cv2_to_imgmsg": (write, their_write),
        "cv2_to_imgmsg_copy": (write, lambda: their_message(flat.copy())),
        "cv2_to_imgmsg_cdr": (lambda: serialize_message(write()), their_write),
    }


def _alternate(ours: Callable, theirs: Callable, repeats: int, calls: int = 10) -> tuple[float, float]:
    """Median microseconds a call, the two taking turns so that a busy moment hits both."""
    times_us: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, into in zip((ours, theirs), times_us, strict=True):
            start_ns = time.perf_counter_ns()
            for _ in range(calls):
                function()
            into.append((time.perf_counter_ns() - start_ns) / calls / 1e3)
    return statistics.median(times_us[0]), statistics.median(times_us[1])


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(cli)
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--publish", type=int, metavar="COUNT", help="be the publishing process")
    cli.add_argument("--topic", help="where to publish")
    options = cli.parse_args()
    if options.publish:
        publish(options.topic, options.publish, options.rate, options.seed)
    else:
        print(json.dumps(main(options), indent=2))
