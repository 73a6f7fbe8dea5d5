"""Time and memory to compile networks of odd shapes for every chip, beside another checkout.

    python benchmarks/cliffs.py                        # all networks, all chips
    python benchmarks/cliffs.py --before ../parent     # beside another checkout with its .venv
    python benchmarks/cliffs.py --networks "512 channels" --chips spinnaker1,spinnaker2

Every compilation is a process of its own, forked from one that has imported everything, so that its
peak memory is known; what it prints is the answer: cores, or the first words of the refusal. The
figures in the table are seconds of processor time, which do not depend on what else the machine
does, and MiB above those of the process before it began. What takes longer than the limit is ended
and said.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

LIMIT = 60
"""Seconds of processor time that one compilation may take."""
SLOW, LARGE = 5.0, 900.0
"""Seconds and MiB from which on a row is printed even if `--all` is not given."""


def main() -> None:
    """Print the table of both checkouts, or be the process that measures one."""
    arguments = _read_arguments()
    if arguments.worker:
        for row in _measure_all(arguments):
            print(json.dumps(row), flush=True)
        return
    after = _run_worker(Path(__file__).parents[1], arguments)
    before = _run_worker(arguments.before, arguments) if arguments.before else {}
    _print_table(before, after, arguments)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="folder of another checkout with its .venv")
    parser.add_argument("--networks", help="names, separated by ';'; all if not given")
    parser.add_argument("--chips", help="names, separated by ','; all if not given")
    parser.add_argument(
        "--limit", type=int, default=LIMIT, help="seconds of processor time for one"
    )
    parser.add_argument("--all", action="store_true", help="print quick and small ones too")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_worker(folder: Path, arguments: argparse.Namespace) -> dict[tuple[str, str], dict]:
    """Return what a checkout takes, by network and chip."""
    own = folder / ".venv/bin/python"
    python = str(own.absolute()) if own.exists() else sys.executable
    command = [python, str(Path(__file__).absolute()), "--worker", "--limit", str(arguments.limit)]
    for option in ("networks", "chips"):
        if getattr(arguments, option):
            command += [f"--{option}", getattr(arguments, option)]
    rows = {}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            row = json.loads(line)
            rows[row["network"], row["chip"]] = row
            cost = f"{row['seconds']:6.1f} s {row['mib']:7.0f} MiB"
            print(
                f"{row['network']:26} {row['chip']:12} {cost}  {row['answer'][:90]}",
                file=sys.stderr,
            )
    if process.returncode:
        raise SystemExit(f"measuring {folder} failed")
    return rows


def _measure_all(arguments: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of every network on every chip, in this interpreter's snncompile."""
    import torch
    from odd_networks import ODD

    from snncompile.hwmodels import chips

    torch.set_num_threads(1)  # threads do not survive a fork
    for chip in chips.list_names():
        _compile(next(iter(ODD)), chip)  # imports and compiled kernels are no part of the figures
    names = arguments.networks.split(";") if arguments.networks else list(ODD)
    for name in names:
        for chip in arguments.chips.split(",") if arguments.chips else chips.list_names():
            yield {"network": name, "chip": chip} | _measure_in_child(name, chip, arguments.limit)


def _measure_in_child(name: str, chip: str, limit: int) -> dict:
    """Fork, compile in the child and return its answer, seconds and MiB."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, limit)
        os.write(writing, f"{getrusage(RUSAGE_SELF).ru_maxrss}\n".encode())
        os.write(writing, json.dumps(_compile(name, chip)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        held, answer = int(pipe.readline()), pipe.read()
    _, status, usage = os.wait4(child, 0)
    if answer:
        return json.loads(answer)
    ended = f"NOT WITHIN {limit} s" if os.WIFSIGNALED(status) else "CRASHED"
    mib = (usage.ru_maxrss - held) / 2**10
    return {"answer": ended, "seconds": usage.ru_utime + usage.ru_stime, "mib": mib}


def _compile(name: str, chip: str) -> dict:
    """Return the answer of one compilation."""
    from odd_networks import make_network

    import snncompile
    from snncompile.hwmodels import chips

    network = make_network(name, chips.load_chip(chip))
    before, start = getrusage(RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        answer = f"{snncompile.compile(network, chip=chip, prune=False).mapping.cores} cores"
    except snncompile.SnnCompileError as error:
        answer = f"{type(error).__name__} ({max(map(len, str(error).splitlines()))}): {error}"
    except Exception as error:
        answer = f"CRASHED: {type(error).__name__}: {error}"
    seconds = time.process_time() - start
    mib = (getrusage(RUSAGE_SELF).ru_maxrss - before) / 2**10
    return {"answer": answer, "seconds": seconds, "mib": mib}


def _print_table(before: dict, after: dict, arguments: argparse.Namespace) -> None:
    """Print the rows that are slow, large or wrong in either checkout, and the totals of all."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"compilations of {len(after)}", title_justify="left")
    for column in ("network", "chip", "s", "s before", "MiB", "MiB before", "answer"):
        right = column in ("s", "s before", "MiB", "MiB before")
        table.add_column(column, justify="right" if right else "left")
    for key, row in after.items():
        old = before.get(key)
        if arguments.all or any(map(_is_notable, filter(None, (row, old)))):
            table.add_row(*key, *_format_figures(row, old), row["answer"][:60])
    Console(width=140).print(table)
    for title, rows in (("before", before), ("after", after)):
        if rows:
            print(f"{title}: {_sum_up(list(rows.values()))}")


def _format_figures(row: dict, old: dict | None) -> tuple[str, str, str, str]:
    shown = [f"{row['seconds']:.1f}", "", f"{row['mib']:.0f}", ""]
    if old:
        shown[1], shown[3] = f"{old['seconds']:.1f}", f"{old['mib']:.0f}"
    return tuple(shown)


def _is_notable(row: dict) -> bool:
    return row["seconds"] > SLOW or row["mib"] > LARGE or _is_wrong(row)


def _is_wrong(row: dict) -> bool:
    return any(word in row["answer"] for word in ("CRASHED", "NOT WITHIN", "mapping is wrong"))


def _sum_up(rows: list[dict]) -> str:
    """Return how many are wrong, and the largest figures."""
    slowest, largest = (max(rows, key=lambda row: row[key]) for key in ("seconds", "mib"))
    return (
        f"{sum(map(_is_wrong, rows))} of {len(rows)} crash, take too long or have a wrong mapping;"
        f" slowest {slowest['seconds']:.1f} s ({slowest['network']}, {slowest['chip']}),"
        f" largest {largest['mib']:.0f} MiB ({largest['network']}, {largest['chip']})"
    )


if __name__ == "__main__":
    main()
