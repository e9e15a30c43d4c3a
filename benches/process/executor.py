"""Python's answer, with two workers: python3 -c executor.py WORK SECONDS"""

import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait


def nothing(number):
    return number


def main(work, seconds):
    with ProcessPoolExecutor(2) as pool:
        warm = [pool.submit(nothing, n) for n in range(2)]
        [call.result() for call in warm]
        start = time.perf_counter()
        count = 0
        if work == "many":
            calls = {pool.submit(nothing, n) for n in range(64)}
            while calls:
                done, calls = wait(calls, return_when=FIRST_COMPLETED)
                count += len(done)
                if time.perf_counter() - start < seconds:
                    calls |= {pool.submit(nothing, 1) for _ in done}
        else:
            value = 1 if work == "one" else bytes([200]) * (16 << 20)
            while time.perf_counter() - start < seconds:
                value = pool.submit(nothing, value).result()
                count += 1
        print(count, time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
