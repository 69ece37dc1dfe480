"""The control, trained by Adam: what it shows is wrong where a worker's Adam is."""

from dataclasses import replace

from benchmarks.tasks.optimizers import Adam
from tests.wrong_twins import _net

TASK = replace(_net.TASK, optimizer=Adam())
