"""Definitions of the events, for one part and one time step.

A part is the neurons of one population on one core. A spike is sent, travels and is worked through
in the time step in which its neuron fires; its effect on the target's neurons counts in the step
of its arrival, one or more later.

    synaptic_op_dense        synapses read because of messages that arrive, of all-to-all wiring;
    synaptic_op_convolution  of convolutions;
    synaptic_op_sparse       of any other wiring. Synapses of weight zero count where the chip
                             counts them (`Chip.zero_weights`): not on `loihi2`, unless they learn,
                             as their weight may change
    neuron_active            compartments of neurons that at least one synapse reaches in this step
    neuron_inactive          the other compartments in use; their state decays
    neuron_mapped            all compartments in use
    neuron_updated           compartments of neurons that are reached, that fire, that have a bias,
                             or whose potential is not zero: their potential is written
    spike                    neurons that fire, also with graded spikes
    message_out              messages sent: one per spike and core on which its neuron has synapses
    message_within_tile      those of them to a core of the same tile
    message_in               messages that arrive, from cores and from the host
    hop_east_west            links between columns that the sent messages cross
    hop_north_south          links between rows
    chip_crossing            borders between chips that the sent messages cross
    host_input               messages from the host: one per input spike and core it has synapses on
    host_output              spikes (or potentials) of the output population, read by the host
    learning_update          synapses that learn whose source or target fired in an epoch, or all of
                             them where a product of uk counts; see `learning.py`

The arrangement of chips is defined in `mesh`. The host joins the mesh at tile 0,0 of chip 0.
"""

from __future__ import annotations

EVENTS = (
    "synaptic_op_dense",
    "synaptic_op_convolution",
    "synaptic_op_sparse",
    "neuron_active",
    "neuron_inactive",
    "neuron_mapped",
    "neuron_updated",
    "spike",
    "message_out",
    "message_within_tile",
    "message_in",
    "hop_east_west",
    "hop_north_south",
    "chip_crossing",
    "host_input",
    "host_output",
)
"""Columns of every array of counts."""
COLUMN = {event: i for i, event in enumerate(EVENTS)}
SYNAPTIC = ("synaptic_op_dense", "synaptic_op_convolution", "synaptic_op_sparse")
"""In the order of `routes.KINDS`."""
SENDING = (
    "neuron_active",
    "neuron_inactive",
    "neuron_mapped",
    "neuron_updated",
    "spike",
    "message_out",
    "message_within_tile",
    "host_output",
)
"""Work of a core's sending half: dendrite, soma, axon out."""
RECEIVING = (*SYNAPTIC, "message_in")
"""Work of a core's receiving half: axon in, synapses."""
TRAVEL = ("hop_east_west", "hop_north_south", "chip_crossing")
"""Work of the links."""
OVERHEADS = (*TRAVEL, "host_input", "host_output")
"""Events included in no other event's price: reported as missing where a set lacks them, as the
barrier sync is."""
