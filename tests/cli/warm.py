"""Runs commands as `gatehouse` does, each in a process of its own, but imports the product once.

Reads one order a line: {"words", "environment", "folder", "out", "err"}; answers its exit code.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys

from app.cli import main

gc.freeze()  # what all commands share is left alone when one of them ends
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["gatehouse", *order["words"]]
        for number, path in ((1, order["out"]), (2, order["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        signal.alarm(150)  # a command that should have ended, but serves, say
        main()
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
