# SPDX-License-Identifier: Apache-2.0
"""`./axon view`: a robot in Rerun, as it runs or from its recording."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from axon_demo.runlog import iterate_messages

if TYPE_CHECKING:
    import rerun as rr

    from axon_demo.view_scene import Scene

_USAGE_CODE = 2
_MCAP_END = b"\x89MCAP0\r\n"
_LIVE_RATE_HZ = 5.0
_NEW_LAYOUT_S = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 where there is nothing to show or nothing to show it on."""
    options = _parser().parse_args(argv)
    try:
        return _view(options)
    except (ValueError, OSError, RuntimeError) as error:  # the last by Rerun
        print(f"axon view: {error}", file=sys.stderr)
        return _USAGE_CODE
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="axon view",
        description="Look at the running robot in Rerun, or at a recording.",
        epilog="Without RECORDING it shows the running graph until Ctrl-C. Exit code: 0, or 2 for wrong arguments.",
    )
    parser.add_argument("recording", nargs="?", type=Path, help="run.mcap, or the folder that ./axon demo left")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--save", type=Path, metavar="FILE.rrd", help="write a file instead of opening a window")
    where.add_argument("--serve", action="store_true", help="serve a viewer to a browser instead, until Ctrl-C")
    where.add_argument(
        "--connect", metavar="URL", help="send to a viewer that runs elsewhere: rerun+http://HOST:9876/proxy"
    )
    parser.add_argument("--namespace", default="", help="namespace of the robot to look at")
    parser.add_argument("--rate", type=float, metavar="HZ", help="largest rate of images, clouds and grids (live: 5)")
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds, live only")
    return parser


def _view(options: argparse.Namespace) -> int:
    if options.rate is not None and not options.rate > 0.0:
        raise ValueError(f"--rate {options.rate}: expected more than 0 Hz")
    recording = None if options.recording is None else find_recording(options.recording)
    scene = open_scene(options, "live" if recording is None else recording.parent.name)
    try:
        return _show_live(scene, options.duration) if recording is None else _show_recording(scene, recording, options)
    finally:
        scene.close()


def find_recording(path: Path) -> Path:
    """The recording at a path, which may be its folder. Raises ValueError where there is none that can be read."""
    if path.is_dir():
        found = sorted(path.glob("*.mcap"))
        if len(found) != 1:
            raise ValueError(f"{path} holds {len(found) or 'no'} recordings (*.mcap): name one")
        path = found[0]
    if not path.is_file():
        raise ValueError(f"there is no recording {path}")
    with path.open("rb") as stream:
        if stream.read(len(_MCAP_END)) != _MCAP_END:
            raise ValueError(f"{path} is not a recording: expected an MCAP file, as ./axon demo writes")
    return path


def is_whole(path: Path) -> bool:
    """Whether a recording was completed: its writer was not killed, and does not write any more."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - len(_MCAP_END)))
        return stream.tell() > 0 and stream.read() == _MCAP_END


def open_scene(options: argparse.Namespace, name: str) -> Scene:
    """A scene that goes where the options say. Raises ValueError where that cannot be."""
    has_screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not (has_screen or options.save or options.serve or options.connect):
        raise ValueError("no display here: give --save FILE.rrd to write a file, or --serve to look with a browser")
    try:
        import rerun as rr
    except ImportError as error:
        raise ValueError("Rerun is not installed: pip install rerun-sdk==0.41.0") from error
    from axon_demo.view_scene import Scene

    stream = rr.RecordingStream("axon")
    _direct(stream, options)
    stream.send_recording_name(name)
    rate_hz = options.rate or (None if options.recording else _LIVE_RATE_HZ)
    return Scene(stream, options.namespace, rate_hz, say=lambda text: print(f"  {text}", file=sys.stderr, flush=True))


def _direct(stream: rr.RecordingStream, options: argparse.Namespace) -> None:
    """Opens what the recording is sent to."""
    import rerun as rr

    if options.save:
        options.save.parent.mkdir(parents=True, exist_ok=True)
        stream.save(options.save)
    elif options.connect:
        stream.connect_grpc(options.connect)
    elif options.serve:
        url = stream.serve_grpc()
        rr.serve_web_viewer(open_browser=False, connect_to=url)
        print(f"open http://localhost:9090/?url={quote(url, safe='')} in a browser; Ctrl-C ends", flush=True)
    else:
        stream.spawn()


def _show_live(scene: Scene, duration_s: float | None) -> int:
    from axon_demo.view_node import watch  # a recording needs no ROS

    print(f"listening in ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}; Ctrl-C ends", flush=True)
    watch(scene, duration_s)
    if not scene.counts:
        raise ValueError("nothing to show has come: is the robot running, in this ROS_DOMAIN_ID and --namespace?")
    print(_summary(scene))
    return 0


def _show_recording(scene: Scene, path: Path, options: argparse.Namespace) -> int:
    laid_out_s = time.monotonic()
    for message in whole_messages(path):
        scene.take(*message)
        if time.monotonic() - laid_out_s > _NEW_LAYOUT_S:
            scene.lay_out(at_once=False)
            laid_out_s = time.monotonic()
    if not scene.counts:
        raise ValueError(f"{path} holds nothing to show" + (f" of {options.namespace}" if options.namespace else ""))
    scene.lay_out()
    print(_summary(scene), flush=True)
    if options.serve:
        _wait_for_ctrl_c()
    return 0


def whole_messages(path: Path) -> Iterator[tuple[str, str, float, bytes]]:
    """What `iterate_messages` gives, up to where the file is cut off or damaged, which is said."""
    if not is_whole(path):
        print(f"  {path} was cut off: what comes before is shown", file=sys.stderr)
    messages = iterate_messages(path)
    while True:
        try:
            message = next(messages, None)
        except Exception as error:  # whatever the libraries say of bytes that make no sense
            print(f"  {path} is damaged: what comes before is shown ({error!r})", file=sys.stderr)
            return
        if message is None:
            return
        yield message


def _summary(scene: Scene) -> str:
    return (
        f"{sum(scene.counts.values())} messages of {len(scene.counts)} topics shown: {', '.join(sorted(scene.counts))}"
    )


def _wait_for_ctrl_c() -> None:
    while True:
        time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
