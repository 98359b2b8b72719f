"""Sleeps, and so does a child of its own, which would outlive it."""

import subprocess
import sys

if __name__ == "__main__":
    with subprocess.Popen(["sleep", sys.argv[1]], start_new_session=True) as child:
        child.wait()
