"""A program in the place of a worker that takes memory, and is killed then as the kernel would."""

import os
import signal

MIB = 256

if __name__ == "__main__":
    held = b"x" * (MIB << 20)
    os.kill(os.getpid(), signal.SIGKILL)
