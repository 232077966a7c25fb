# SPDX-License-Identifier: Apache-2.0
"""Drawing without a screen: colour and depth of one camera in one pass, through EGL."""

import atexit

import mujoco
import numpy as np

from axon_sim.sensors import Images

EGL_REMEDY = "install Debian's libegl1, libgl1-mesa-dri and libgles2 (./axon doctor says what is missing)"


class OffscreenRenderer:
    """Draws one model at one size. Made, used and closed in one thread, as OpenGL wants it."""

    def __init__(self, model: mujoco.MjModel, width: int, height: int, *, shadows: bool = True, samples: int = 0):
        self.width, self.height = width, height
        self._gl = _egl_context(width, height)
        self._load(model, shadows, samples)
        self._option = mujoco.MjvOption()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        atexit.register(self.close)

    def render(self, data: mujoco.MjData, camera: "str | mujoco.MjvCamera") -> Images:
        """Return what a camera sees, without noise; depth beyond the far plane is that plane's."""
        self._gl.make_current()  # another renderer of this thread may have been
        view = self._fixed_camera(camera) if isinstance(camera, str) else camera
        mujoco.mjv_updateScene(self._model, data, self._option, None, view, mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        color = np.empty((self.height, self.width, 3), dtype=np.uint8)
        depth = np.empty((self.height, self.width), dtype=np.float32)
        mujoco.mjr_readPixels(color, depth, self._rect, self._context)
        return Images(color[::-1], self._metric(depth[::-1]))

    def close(self) -> None:
        """Free the context; a second call does nothing."""
        atexit.unregister(self.close)
        if self._gl is not None:
            self._context.free()
            self._gl.free()
            self._gl = None

    def _load(self, model: mujoco.MjModel, shadows: bool, samples: int) -> None:
        self._model = model
        self._context = _render_context(model, self.width, self.height, shadows, samples)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=2 * model.ngeom + 200)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False

    def _fixed_camera(self, name: str) -> mujoco.MjvCamera:
        camera = mujoco.MjvCamera()
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._model.camera(name).id
        return camera

    def _metric(self, buffer: np.ndarray) -> np.ndarray:
        """Return metres from the depth buffer, which holds 1 at the near plane and 0 at the far one."""
        near = np.float32(self._model.vis.map.znear * self._model.stat.extent)
        far = np.float32(self._model.vis.map.zfar * self._model.stat.extent)
        return near * far / (near + buffer * (far - near))


def _render_context(model: mujoco.MjModel, width: int, height: int, shadows: bool, samples: int) -> mujoco.MjrContext:
    """Return buffers of this size; the model holds its own wishes again afterwards."""
    quality, size = model.vis.quality, model.vis.global_
    wishes = quality.offsamples, quality.shadowsize, size.offwidth, size.offheight
    quality.offsamples, size.offwidth, size.offheight = samples, width, height
    quality.shadowsize = wishes[1] if shadows else 0
    context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    quality.offsamples, quality.shadowsize, size.offwidth, size.offheight = wishes
    return context


def _egl_context(width: int, height: int):
    try:
        from mujoco.egl import GLContext  # here: loading EGL fails on machines that never render

        context = GLContext(width, height)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise RuntimeError(f"cannot draw without a screen: {error}; {EGL_REMEDY}") from error
    context.make_current()
    return context
