"""Run learning synapses of real Lava; started in Lava's environment, imports nothing of ours.

    python lava_learning.py cases.npz out.npz

Of each case: synapses (LearningDense or LearningSparse) between a source of given spikes and LIF
neurons, which a second source drives as well; with a third factor the traces of the target come
from sources too. After every `every` steps weights, tags and traces are read.
"""

import json
import sys
import time

import numpy as np
from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense, LearningDense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import LearningSparse
from lava.utils.sparse import find
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

READ = ("weights", "tag_1", "x1", "x2", "y1", "y2", "y3")


def build(case, arrays, name):
    """Return the synapses, the neurons and the sink of a case."""
    rule = dict(case["rule"])
    make = Loihi3FLearningRule if case["third"] else Loihi2FLearningRule
    rule = make(**rule)
    weight = arrays[f"{name}.weight"]
    sign = SignMode.EXCITATORY if case["positive"] else SignMode.MIXED
    bits = 8 if case["positive"] else 9
    options = {"learning_rule": rule, "sign_mode": sign, "num_weight_bits": bits}
    if case["sparse"]:
        row, column = arrays[f"{name}.row"], arrays[f"{name}.column"]
        shape = tuple(case["shape"])
        weights = csr_matrix((weight, (row, column)), shape=shape)
        tags = csr_matrix((np.zeros(len(weight), int), (row, column)), shape=shape)
        synapses = LearningSparse(weights=weights, tag_1=tags, **options)
    else:
        synapses = LearningDense(weights=weight, **options)
    neurons = LIF(shape=(case["shape"][0],), **case["neuron"])
    source = Source(data=arrays[f"{name}.pre"].T.astype(np.int32))
    source.s_out.connect(synapses.s_in)
    drive = Source(data=arrays[f"{name}.drive"].T.astype(np.int32))
    push = Dense(weights=np.eye(case["shape"][0]) * 64, sign_mode=SignMode.MIXED)
    drive.s_out.connect(push.s_in)
    push.a_out.connect(neurons.a_in)
    synapses.a_out.connect(neurons.a_in)
    neurons.s_out.connect(synapses.s_in_bap)
    third = arrays[f"{name}.third"] if case["third"] else ()
    for k, port in enumerate(("s_in_y1", "s_in_y2", "s_in_y3")[: 3 if case["third"] else 0]):
        factor = Source(data=third[:, k].T.astype(np.int32))
        factor.s_out.connect(getattr(synapses, port))
    sink = Sink(shape=(case["shape"][0],), buffer=len(arrays[f"{name}.pre"]))
    neurons.s_out.connect(sink.a_in)
    return synapses, neurons, sink


def read(synapses, case, arrays, name):
    """Return what the synapses hold, in the order of our synapses."""
    values = {}
    for key in READ:
        variable = getattr(synapses, key)
        if key in ("weights", "tag_1") and case["sparse"]:
            # Not `get`, which cannot read a matrix with zeros.
            value = np.asarray(synapses.runtime.get_var(variable.id, None))
            row, column, _ = find(variable.init, explicit_zeros=True)
            place = {pair: at for at, pair in enumerate(zip(row, column, strict=True))}
            ours = zip(arrays[f"{name}.row"], arrays[f"{name}.column"], strict=True)
            value = value[[place[pair] for pair in ours]]
        else:
            value = variable.get()
        values[key] = np.asarray(value).astype(np.int64)
    return values


def main():
    """Run all cases."""
    arrays = np.load(sys.argv[1], allow_pickle=False)
    cases = json.loads(str(arrays["cases"]))
    out = {}
    for name, case in cases.items():
        steps = len(arrays[f"{name}.pre"])
        synapses, neurons, sink = build(case, arrays, name)
        neurons.create_runtime(run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        seconds = 0.0
        for done in range(0, steps, case["every"]):
            begin = time.perf_counter()
            neurons.run(condition=RunSteps(num_steps=min(case["every"], steps - done)))
            seconds += time.perf_counter() - begin
            for key, value in read(synapses, case, arrays, name).items():
                out.setdefault(f"{name}.{key}", []).append(value)
        out[f"{name}.spikes"] = sink.data.get().T
        out[f"{name}.seconds"] = seconds
        neurons.stop()
        print(name, flush=True)  # noqa: T201
    np.savez(sys.argv[2], **{key: np.asarray(value) for key, value in out.items()})


if __name__ == "__main__":
    main()
