"""What both test files need: the programs of ../person, run as a user runs them."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PERSON = pathlib.Path(__file__).resolve().parent.parent / "person"
sys.path.insert(0, str(PERSON))


def program(name, *arguments, recordings=False):
    """Runs one; fails with what it said."""
    environment = dict(os.environ)
    if not recordings:
        environment.pop("FOOTFALL_DATA", None)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(PERSON / name), *(str(argument) for argument in arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if ran.returncode != 0:
        raise AssertionError(f"{name} ended with {ran.returncode}:\n{ran.stdout[-2000:]}{ran.stderr[-4000:]}")
    return ran.stdout


class Folder(unittest.TestCase):
    """A test class with a folder of its own, shared by its tests."""

    @classmethod
    def setUpClass(cls):
        cls.kept = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.kept.name)

    @classmethod
    def tearDownClass(cls):
        cls.kept.cleanup()
