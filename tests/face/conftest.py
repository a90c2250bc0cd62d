"""A weights home of stand-ins, dlib and a photograph; and no connections."""

import socket

import pytest
from pictures import portrait
from skimage import data

from reid_audit import testing
from reid_audit.face import make_encoder


@pytest.fixture(autouse=True)
def no_connections(monkeypatch):
    """Nothing in this file may open a connection, whatever it asks for."""

    def refuse(self, address, *_):
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: refuse(None, given))


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def home(empty_home):
    """Folder with stand-ins for all DeepFace models."""
    return testing.write_weights(empty_home)


@pytest.fixture(scope="module")
def dlib_encoder():
    return make_encoder("dlib")


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


@pytest.fixture(scope="module")
def astronaut_face(dlib_encoder, astronaut):
    return dlib_encoder.encode(portrait(astronaut))
