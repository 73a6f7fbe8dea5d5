"""Time per step of synapses that learn: the reference against real Lava.

    python benchmarks/learning_speed.py [--steps 400] [--rules 4] [--neurons 40]

Prints the seconds of both for random rules between dense and between sparse synapses, and how many
numbers differ. Lava's time is that of its steps alone, without starting its processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from drawn_rules import count_differences, draw_case, run_here, run_on_lava


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rules", type=int, default=4)
    parser.add_argument("--neurons", type=int, default=40, help="largest number at either end")
    options = parser.parse_args()
    print("synapses  rules  steps  reference s  Lava s  ratio  differences")
    for sparse in (False, True):
        cases = [
            draw_case(1000 + seed, sparse, options.steps, options.neurons)
            for seed in range(options.rules)
        ]
        run_here(cases[0], 50)  # compiles the kernels
        begin = time.perf_counter()
        ours = [run_here(case, options.steps) for case in cases]
        seconds = time.perf_counter() - begin
        with tempfile.TemporaryDirectory() as folder:
            lavas = run_on_lava(cases, Path(folder), options.steps)
        of_lava = sum(float(result["seconds"]) for result in lavas)
        pairs = zip(ours, lavas, strict=True)
        wrong = sum(count_differences(mine, theirs) for mine, theirs in pairs)
        kind = "sparse" if sparse else "dense"
        print(
            f"{kind:8}  {options.rules:5}  {options.steps:5}  {seconds:11.3f}  {of_lava:6.2f}"
            f"  {of_lava / seconds:5.0f}  {wrong:11}"
        )


if __name__ == "__main__":
    main()
