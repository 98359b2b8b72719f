"""Make the virtual environments of this checkout: ``python3 -m tools.setup_environment [--dev] [--train]``.

Whichever Python ``make`` is given reads this file, Python 2 too. So it has no syntax of a later one, and imports the
rest only where that can be read. With ``--keep-python``, environments keep the Python that they were made with.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OWN = os.path.join(ROOT, ".venv", "bin", "python")
OLDEST = (3, 11)

if __name__ == "__main__":
    another = os.path.exists(OWN) and os.path.realpath(OWN) != os.path.realpath(sys.executable)
    if "--keep-python" in sys.argv[1:] and another and subprocess.call([OWN, "-c", ""]) == 0:
        os.execv(OWN, [OWN, "-m", "tools.setup_environment"] + sys.argv[1:])
    if sys.version_info[:2] < OLDEST:
        sys.stdout.write(
            "This machine cannot run Narrows yet:\n  - this is Python %d.%d; 3.11 to 3.12 is needed: "
            "apt-get install python3.11 python3.11-venv libpython3.11, then make PYTHON=python3.11\n"
            % sys.version_info[:2]
        )
        sys.exit(1)
    from tools.setup import main

    sys.exit(main())
