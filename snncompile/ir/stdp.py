"""Learning rules by name: spike-timing dependent plasticity in three forms."""

from __future__ import annotations

from typing import Any

from snncompile.ir.learning_rule import LearningRule, check_fields, check_numbers


def stdp(
    *,
    learning_rate: float = 1.0,
    a_plus: float,
    a_minus: float,
    tau_plus: float,
    tau_minus: float,
    impulse: float = 16.0,
    **more: Any,
) -> LearningRule:
    """Return pair-based STDP, as Lava's `STDPLoihi` (Gerstner et al., Nature 383, 1996).

        dw = learning_rate * a_minus * x0 * y1 + learning_rate * a_plus * y0 * x1

    Args:
        learning_rate: factor of both parts; the products with it are m * 2^e, see `LearningRule`.
        a_plus: change where the target fires after the source.
        a_minus: change where the source fires after the target; negative to weaken.
        tau_plus: time constant of the source's trace x1, in time steps.
        tau_minus: time constant of the target's trace y1.
        impulse: of both traces, 0..127.
        **more: further fields of `LearningRule`: `epoch`, `seed`, `sign`, `limit`.

    Raises:
        InputError: a number cannot be held; the message names the nearest that can.
    """
    check_fields("stdp", more, "dw", "x1_impulse", "x1_tau", "y1_impulse", "y1_tau")
    check_numbers(learning_rate=learning_rate, a_plus=a_plus, a_minus=a_minus)
    minus, plus = learning_rate * a_minus, learning_rate * a_plus
    return LearningRule(
        dw=f"{minus:.64f}*x0*y1 + {plus:.64f}*y0*x1",
        x1_impulse=impulse,
        x1_tau=tau_plus,
        y1_impulse=impulse,
        y1_tau=tau_minus,
        **more,
    )


def stochastic_stdp(
    *,
    potentiation: float,
    depression: float,
    tau: float,
    impulse: float = 127.0,
    sign: Any = "positive",
    **more: Any,
) -> LearningRule:
    """Return STDP at spikes of the target alone, stochastic by the chip's rounding.

        dw = potentiation * y0 * x1 - depression * y0

    Synapses whose source fired within about tau grow, the others shrink. A change below 1 happens
    with its size as probability, which is how Srinivasan et al. (ReStoCNet, Frontiers in
    Neuroscience 13, 2019) train kernels of few bits. Lava draws one random number for all synapses
    of a projection in a step, not one for each.

    Args:
        potentiation: change per unit of the source's trace, which is `impulse` right after a spike;
            m * 2^e.
        depression: change of every synapse at a spike of the target; m * 2^e.
        tau: time constant of the source's trace, in time steps.
        impulse: of the trace, 0..127.
        sign: of the weights; positive keeps them within 0..255.
        **more: further fields of `LearningRule`.

    Raises:
        InputError: a number cannot be held; the message names the nearest that can.
    """
    check_fields("stochastic_stdp", more, "dw", "x1_impulse", "x1_tau", "sign")
    check_numbers(potentiation=potentiation, depression=depression)
    dw = f"{potentiation:.64f}*y0*x1 - {depression:.64f}*y0"
    return LearningRule(dw=dw, x1_impulse=impulse, x1_tau=tau, sign=sign, **more)


def r_stdp(
    *,
    reward: str,
    learning_rate: float = 1.0,
    a_plus: float,
    a_minus: float = 0.0,
    tau_plus: float,
    tag_decay: float,
    impulse: float = 16.0,
    post_trace: str | None = None,
    **more: Any,
) -> LearningRule:
    """Return reward-modulated STDP, as Lava's `RewardModulatedSTDP` (Fremaux and Gerstner, 2016).

        dt = a_plus * y0 * x1 + a_minus * x0 * y1 - tag_decay * u0 * t
        dw = learning_rate * u0 * t * y2

    Args:
        reward: population whose output is y2, one neuron for each of the target.
        learning_rate: weight change per tag and reward; m * 2^e.
        a_plus: change of the tag where the target fires after the source.
        a_minus: change where the source fires after the target; needs `post_trace`.
        tau_plus: time constant of the source's trace, in time steps.
        tag_decay: share of the tag lost in each epoch.
        impulse: of the source's trace, 0..127.
        post_trace: population whose output is the target's trace y1: with a third factor, Lava's
            synapses keep no trace of the target.
        **more: further fields of `LearningRule`.

    Raises:
        InputError: a number cannot be held, or a_minus has no trace.
    """
    check_fields("r_stdp", more, "dw", "dt", "x1_impulse", "x1_tau", "third_factor")
    check_numbers(learning_rate=learning_rate, a_plus=a_plus, a_minus=a_minus, tag_decay=tag_decay)
    third = {"y2": reward} | ({} if post_trace is None else {"y1": post_trace})
    weaken = f"{a_minus:.64f}*x0*y1 + " if a_minus else ""
    return LearningRule(
        dt=f"{weaken}{a_plus:.64f}*y0*x1 - {tag_decay:.64f}*u0*t",
        dw=f"{learning_rate:.64f}*u0*t*y2",
        x1_impulse=impulse,
        x1_tau=tau_plus,
        third_factor=tuple(third.items()),
        **more,
    )
