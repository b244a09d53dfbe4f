"""Starts `gatehouse worker` processes fast: imports the product once, and forks for each.

Reads a line for each that is wanted, and answers its process id; all end with it. The first line
says for how many seconds a claim holds, and a provider or a webhook may take.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from datetime import timedelta

from sqlalchemy.orm import configure_mappers

from app.cli import main
from app.services import send_claims, sendings, webhook_claims, webhook_sendings

held, deadline = map(float, sys.stdin.readline().split())
send_claims.HELD_FOR, sendings.DEADLINE = timedelta(seconds=held), timedelta(seconds=deadline)
webhook_claims.HELD_FOR, webhook_sendings.SECONDS = timedelta(seconds=held), deadline
configure_mappers()
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["gatehouse", "worker", "--parent", str(os.getppid())]
        main()
    print(child, flush=True)
