"""Whatever goes wrong at once, no emergency stop is lost; see tests/support/chaos.py.

``benchmarks/chaos.py`` does the same for half an hour.
"""

import random
from pathlib import Path

from tests.support.chaos import BOUND, chaos

SECONDS = 25.0


async def test_no_stop_is_lost_in_chaos(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    async with chaos(tmp_path, seed) as around:
        report = await around.run(SECONDS)
        assert around.process.running
    text = f"seed {seed}\n{report}"
    assert report.lost == [], text
    assert report.recovered, text
    assert len(report.calm) + len(report.troubled) >= 3, text
    assert sum(report.faults.values()) >= 3, text
    assert max(report.calm, default=0.0) < BOUND, text
