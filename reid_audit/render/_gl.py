"""Test in a child process whether OpenGL works without a screen: VTK crashes the process where it does not."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_EGL_PLATFORM_DEVICE_EXT = 0x313F


def _load(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def egl_works() -> bool:
    """Whether libEGL is there and opens a display on one of its devices.

    The library alone says little: containers often have its dispatcher (libglvnd) without any driver.
    """
    egl = _load("libEGL.so.1")
    if egl is None:
        return False
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    egl.eglInitialize.restype = ctypes.c_uint
    egl.eglGetDisplay.argtypes = [ctypes.c_void_p]
    egl.eglGetDisplay.restype = ctypes.c_void_p
    displays = [egl.eglGetDisplay(None)]
    query, open_on = (egl.eglGetProcAddress(f) for f in (b"eglQueryDevicesEXT", b"eglGetPlatformDisplayEXT"))
    if query and open_on:
        devices = (ctypes.c_void_p * 16)()
        count = ctypes.c_int(0)
        query_devices = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(query)
        open_display = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(open_on)
        if query_devices(16, ctypes.byref(devices), ctypes.byref(count)):
            displays += [open_display(_EGL_PLATFORM_DEVICE_EXT, device, None) for device in devices[: count.value]]
    # Left initialised on purpose: EGL displays are shared in a process, and terminating one here would end VTK's.
    return any(display and egl.eglInitialize(display, None, None) for display in displays)


def osmesa_works() -> bool:
    """Whether the software OpenGL library OSMesa is there."""
    return any(_load(f"libOSMesa.so{suffix}") is not None for suffix in (".8", ".6", ""))


@cache
def window_class() -> str:
    """Name of VTK's window class that works here without a screen, "" where none does.

    EGL comes before X even where DISPLAY is set: a portrait must not depend on who is logged in.
    """
    if sys.platform != "linux":
        return "vtkRenderWindow"  # Windows and macOS bring OpenGL with the system
    if egl_works():
        return "vtkEGLRenderWindow"
    if osmesa_works():
        return "vtkOSOpenGLRenderWindow"
    return ""


def why_no_opengl() -> str:
    """One clause that says why nothing can be drawn by OpenGL here; "" where it can."""
    if window_class():
        return ""
    screen = " (DISPLAY is set, but an X server is not used)" if os.environ.get("DISPLAY") else ""
    return f"this machine has no working OpenGL, neither libEGL with a driver nor libOSMesa{screen}"


@contextmanager
def hold_signals() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM until the block ends: an exception within an extension that starts can end the process.

    Python calls handlers in the main thread alone; elsewhere there is nothing to hold.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
        if came:
            signal.raise_signal(came[0])
