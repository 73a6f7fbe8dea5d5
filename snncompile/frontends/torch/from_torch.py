"""Import a spiking torch module: run it once, read the network out of the run, verify it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.frontends.host_biases import move_to_host
from snncompile.frontends.input_kinds import InputKind, choose_input
from snncompile.frontends.torch.arguments import Arguments, read_arguments
from snncompile.frontends.torch.build_network import ImportedNetwork, build_network, show_input
from snncompile.frontends.torch.filters import check_filters
from snncompile.frontends.torch.find_layout import find_layout
from snncompile.frontends.torch.host_part import check_paths, describe_host, show
from snncompile.frontends.torch.libraries import by_hand
from snncompile.frontends.torch.open_wrappers import unwrap
from snncompile.frontends.torch.products import settle_values
from snncompile.frontends.torch.run_module import (
    NONE,
    check_module,
    check_sample,
    find_own_dtype,
    free_copies,
)
from snncompile.frontends.torch.static_input import fix_steps
from snncompile.frontends.torch.ties import Ties, check_choice
from snncompile.frontends.torch.time_layouts import Layout, check_layout
from snncompile.frontends.torch.verify_import import verify
from snncompile.ir.graph import Network, Say

LOG = logging.getLogger(__name__)
READ = 0.2
"""Share of an import's time that reading the module takes, roughly; the rest is comparing."""


def from_torch(
    module: nn.Module,
    sample: ArrayLike | Tensor,
    time: Literal["auto"] | Layout = "auto",
    *,
    input: InputKind = "auto",
    input_bits: int | None = None,
    input_range: Sequence[float] | None = None,
    args: Sequence[Any] | Mapping[str, Any] = (),
    title: str | None = None,
    neurons: by_hand.Said | None = None,
    ties: Ties = "refuse",
    host: Sequence[str] = (),
    progress: Say | None = None,
) -> Network:
    """Return the network with the module's spikes, and its readouts to 1e-9.

    A copy of the module is run; the module stays as it is. The outputs of the copy on the sample
    are compared with the network's, neuron by neuron and step by step, both in float64; so is the
    answer, if forward returns a sum, mean, maximum or last over time.

    Args:
        module: layers and neurons of the known libraries, our own (`snncompile.training`), or
            neurons written by hand, in any `nn.Module`; its own hooks run too.
        sample: typical input, shape (samples, steps, *shape); a few samples are enough. With
            "inside" what forward takes once, shape (samples, *shape).
        time: how the module takes its time axis: "step" (called once per time step with
            (samples, *shape)), "first" (steps, samples, *shape), "second" (samples, steps,
            *shape), "folded" (samples * steps, *shape), "last" (samples, *shape, steps), another
            axis as a number, or "inside" (forward makes the steps itself; their number is then
            part of the network, and `network.input.present` repeats a sample). "auto" tries them
            in this order.
        input: what the model is shown: "spikes" (0 and 1), "counts" (whole numbers), "polarity"
            (-1, 0 and 1), "analog" (any numbers, which the chip gets rounded), "biases" (one image
            in every step: the host computes the first linear layer and writes a bias per neuron and
            sample, for chips whose messages are spikes alone); "auto" takes the narrowest of the
            first four that holds the sample. `Network.notes` say what was taken.
        input_bits: bits of an analog value, the sign included; 8 if not given.
        input_range: lowest and highest value that counts or analog values will have; those of the
            sample if not given. Others are refused later.
        args: further arguments of forward: by position, or a dictionary of names. None for a
            state that forward returns and takes back in the next step.
        title: name of the network in reports; the name of the class if not given.
        neurons: your own neuron classes that are not recognized by what they compute -> their
            neuron, or a function of a layer that returns it.
        ties: "accept" takes outputs that differ because a potential meets its threshold and the
            rounding of a sum decides; "refuse" says how many they are.
        host: paths of layers (encoders, an ANN front end, a decoder) that stay on the host. They
            are not examined; the output of the last one in front of the chip's layers is the
            network's input. Run, verify and estimate then take the module: `host=module`.
        progress: called with what is done now, and the share that is done.

    Raises:
        InputError: module or sample are malformed, or no time layout fits.
        UnsupportedError: the module uses a layer, a function or a feature that is not known.
        ImportMismatchError: the network does not spike as the module does.
    """
    check_choice(ties)
    given = read_arguments(args)
    say = progress or (lambda text, share: None)
    say("reading the module", 0.0)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), by_hand.say(neurons):
        read = read_module(module, sample, time, title, given, host)
        lines, shown = read.imported.network.input, read.x
        if lines.host_part and lines.host_part.output:
            shown = show(lines.host_part, read.module, read.x)
        values = shown.numpy()
        source, note = choose_input(lines, values, input, input_bits, input_range)
        if input == "biases":
            network, note = move_to_host(read.imported.network, values), ""
            imported = replace(read.imported, network=network)
        else:
            imported = show_input(read.imported, source, note)
        check_filters(imported.network)
        if read.layout == "inside":
            imported = fix_steps(imported, shown)

        def compare(share: float) -> None:
            say("comparing with the module", READ + (1 - READ) * share)

        unverified = verify(
            read.module, read.x, read.layout, imported, given, ties, progress=compare
        )
    network = settle_values(imported.network)  # limits are those of the input as it is shown
    for text in read.imported.network.notes:
        LOG.warning("%s: %s", network.title, text)
    if note:
        LOG.info("%s: %s", network.title, note)
    LOG.info("%s: imported with time=%r", network.title, read.layout)
    return replace(network, notes=(*network.notes, *unverified))


class ReadModule(NamedTuple):
    """A network read out of a module, not verified."""

    module: nn.Module
    """The module, or the one inside of a wrapper."""
    x: Tensor
    """The sample in float64, shape (samples, steps, *shape)."""
    layout: Layout
    imported: ImportedNetwork


def read_module(
    module: nn.Module,
    sample: ArrayLike | Tensor,
    time: Any,
    title: str | None,
    given: Arguments = NONE,
    host: Sequence[str] = (),
) -> ReadModule:
    """Return the network of a module, its sample and its time layout."""
    if isinstance(module, nn.Module):
        module = unwrap(module)
    check_module(module, given)
    check_paths(module, host)
    if host and given != NONE:
        raise InputError(
            "host= is given together with args=; give a module of two lines whose forward calls"
            " this one with those arguments"
        )
    title = title or type(module).__name__
    array = check_sample(sample, time)
    static = time == "inside" or array.ndim == 2
    x = torch.tensor(array).to(find_own_dtype(module)).double()
    layout: Layout | Literal["auto"] = "auto"
    if time != "auto" or static:
        layout = check_layout("inside" if static else time, x.ndim)
    try:
        known = find_layout(module, x, layout, given, tuple(host))
    except InputError as error:
        if time != "auto" or not static:
            raise
        raise InputError(
            f"sample has shape {array.shape}, expected (samples, steps, *shape), or (samples,"
            f" *shape) where forward makes the steps itself; {error}"
        ) from None
    free_copies(module)
    shape, steps = tuple(known.x.shape[2:]), known.x.shape[1]
    host_part = describe_host(known.host, module, (steps, *shape), known.layout)
    imported = build_network(known.layers, known.host.shape or shape, title, host_part)
    return ReadModule(module, known.x, known.layout, imported)
