"""Runs a command and tells what it took. By itself, since what the kernel calls a process's peak memory includes that of the
process it was forked from: this one is as small as Python gets.

Usage: python -I -S launch.py FILE COMMAND…    (FILE is the number of an inherited file; see `measure` for what it is told)
"""

import os
import sys
import time


def main() -> None:
    report, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(report, False)
    begin = time.monotonic()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    wall = time.monotonic() - begin
    cpu = usage.ru_utime + usage.ru_stime
    os.write(report, f"{os.waitstatus_to_exitcode(status)} {cpu} {wall} {usage.ru_maxrss * 1024}".encode())


if __name__ == "__main__":
    main()
