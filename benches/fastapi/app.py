"""The four methods of FastAPI to run what computes, and a ping."""

import asyncio
import math
from concurrent.futures import ProcessPoolExecutor

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

# Some 20 ms.
BELOW = 200_000

app = FastAPI()
executor = ProcessPoolExecutor()


def roots(below: int) -> int:
    return sum(math.isqrt(n) for n in range(below))


@app.get("/ping")
async def ping():
    return "pong"


@app.get("/to_thread")
async def to_thread():
    return await asyncio.to_thread(roots, BELOW)


@app.get("/def_route")
def def_route():
    return roots(BELOW)


@app.get("/run_in_threadpool")
async def in_threadpool():
    return await run_in_threadpool(roots, BELOW)


@app.get("/process_pool")
async def process_pool():
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, roots, BELOW)
