"""How long a peer's call takes, for the scripts beside this file."""

import time


def least(call):
    """The least time of a call, in seconds, over half a second."""
    call()
    best, end = float("inf"), time.perf_counter() + 0.5
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best
