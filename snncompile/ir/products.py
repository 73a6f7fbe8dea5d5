"""Products of a learning rule, read from the notation of Lava and written in it.

    dw = "2^-2*x1*y0 - 2^-3*y1*x0"

is a sum of products, each m * 2^e times a dependency (x0: the source neuron fired in this epoch,
y0: the target neuron did, uk: every 2^k epochs) times factors: the traces x1 x2 of the source and
y1 y2 y3 of the target, the weight w, the tag t, their signs sgn(w) sgn(t), each with a constant if
wanted, `(x1 - 4)`. Lava 0.10.0 reads the same (`lava/magma/core/learning/symbolic_equation.py`),
but takes what it cannot hold without a word; here that is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn

from snncompile.errors import InputError

WIDTHS = {"x0": 1, "y0": 1, "x1": 7, "x2": 7, "y1": 7, "y2": 7, "y3": 7, "w": 9, "t": 9}
"""Bits of each factor: Lava's `FACTOR_TO_WIDTH_DICT`."""
MANTISSA = (-8, 7)
EXPONENT = (-7, 8)
"""Ranges of m and e on the chip, as Lava's `ProductSeries` checks them."""
FLOAT_EXPONENT = 64
"""Largest magnitude of e in a rule for float weights, which quantizing scales."""
WIDTH_LIMIT = 28
"""Bits of all factors of a product: with the mantissa it then stays within Lava's 32."""
MANTISSA_BITS, ACCUMULATOR_BITS = 4, 15
"""A product is shifted right by the bits by which its width exceeds the accumulator's."""
LARGEST_K = 9
"""Of uk, which Lava reads as one digit."""

Scale = tuple[int, int]
"""m and e of m * 2^e."""
TOKEN = re.compile(
    r"\s*(sgn|x[012]|y[0123]|u\d+|w|t|d|(?:\d*\.)?\d+(?:e[+-]?\d+)?|[-+*^()])", re.ASCII
)
LONGEST_NUMBER = 80
"""Characters of a number; builders write 64 decimals."""
LONGEST_SHOWN = 80
"""Characters of a rule in messages."""


@dataclass(frozen=True)
class Factor:
    """A number that a product is multiplied by."""

    variable: str
    """A key of `WIDTHS`."""
    constant: float = 0
    """Added to the variable; beside a trace a whole number of -128..127. Beside w and t it is in
    their unit: an even number of -256..254 on the chip, any number in a `Network`."""
    sign: bool = False
    """Whether only the sign of the sum counts; of w and t alone."""

    def __post_init__(self) -> None:
        """Refuse a constant beside a trace that the chip cannot add; traces are not scaled."""
        if self.variable not in ("w", "t") and (misfit := self.explain_misfit()):
            raise InputError(misfit)

    def explain_misfit(self) -> str:
        """Return why the chip cannot add its constant, with the nearest; empty if it can."""
        step = 2 if self.variable in ("w", "t") else 1
        nearest = round_constant(self.constant, step)
        if nearest == self.constant:
            return ""
        return (
            f"factor {self}: the constant must be within {-128 * step}..{127 * step}"
            f"{' and even' if step > 1 else ''}; the nearest is {nearest}"
        )

    def __str__(self) -> str:
        """Notation of Lava."""
        text = self.variable
        if self.constant:
            size = repr(abs(self.constant)).removesuffix(".0")
            text += f" {'-' if self.constant < 0 else '+'} {size}"
        if self.sign:
            return f"sgn({text})"
        return f"({text})" if self.constant else text


@dataclass(frozen=True)
class Product:
    """One summand of a rule: mantissa * 2^exponent * dependency * factors."""

    mantissa: int
    exponent: int
    dependency: str
    """`x0`, `y0` or `u`."""
    factors: tuple[Factor, ...] = ()
    decimation: int = 0
    """k of uk."""

    @property
    def width(self) -> int:
        """Bits of all factors."""
        return sum(WIDTHS[factor.variable] for factor in self.factors)

    @property
    def shift(self) -> int:
        """Bits by which the chip's integers are shifted right before the exponent counts."""
        return max(0, self.width + MANTISSA_BITS - ACCUMULATOR_BITS)

    @property
    def scale(self) -> float:
        """Mantissa * 2^exponent."""
        return math.ldexp(self.mantissa, self.exponent)

    def explain_misfit(self) -> str:
        """Return why the chip's integers cannot hold it, with what they can; empty if they can."""
        if EXPONENT[0] <= self.exponent <= EXPONENT[1]:
            return next(filter(None, (factor.explain_misfit() for factor in self.factors)), "")
        mantissa, exponent, _ = round_scale(self.scale)
        nearest = f"{mantissa or 1}*2^{exponent if mantissa else EXPONENT[0]}"
        return (
            f"{self}: 2^{self.exponent} is outside 2^{EXPONENT[0]}..2^{EXPONENT[1]} of the chip;"
            f" the nearest factor is {nearest}"
        )

    def __str__(self) -> str:
        """Notation of Lava; reading it gives the same product."""
        dependency = f"u{self.decimation}" if self.dependency == "u" else self.dependency
        power = [f"2^{self.exponent}"] if self.exponent else []
        size = abs(self.mantissa)
        scale = power if size == 1 else [str(size), *power]
        text = "*".join([*scale, dependency, *map(str, self.factors)])
        return f"-{text}" if self.mantissa < 0 else text


def round_scale(scale: float) -> tuple[int, int, float]:
    """Return the nearest m and e of the chip, and the relative error (1.0 if nothing is left).

    Of equally near ones the largest m: products are rounded down before 2^e counts, so it keeps
    the most bits.
    """
    best = (0, 0)
    for exponent in range(EXPONENT[0], EXPONENT[1] + 1):
        low, high = MANTISSA
        mantissa = min(max(round(math.ldexp(scale, -exponent)), low), high)
        old = abs(math.ldexp(*best) - scale)
        if abs(math.ldexp(mantissa, exponent) - scale) < old:
            best = (mantissa, exponent)
    error = abs(math.ldexp(*best) - scale) / abs(scale) if scale else 0.0
    return (*best, error)


def round_constant(constant: float, step: int) -> int:
    """Return the nearest constant that the chip adds to a factor; of two the larger magnitude.

    Args:
        constant: in the chip's unit.
        step: 2 beside w and t, 1 beside traces.
    """
    size = step * math.floor(abs(constant) / step + 0.5)
    return min(max(-size if constant < 0 else size, -128 * step), 127 * step)


def find_nearest_scale(value: float) -> Scale:
    """Return the m of -8..7 and the e nearest to a number other than 0, as a `Network` takes them.

    Its rules have any e of -64..64, which quantizing scales into the chip's range.
    """
    exponent = max(math.frexp(value)[1] - 3, -FLOAT_EXPONENT)
    exponent += round(math.ldexp(value, -exponent)) > MANTISSA[1]
    exponent = min(exponent, FLOAT_EXPONENT)
    mantissa = min(max(round(math.ldexp(value, -exponent)), MANTISSA[0]), MANTISSA[1])
    mantissa = mantissa or (-1 if value < 0 else 1)
    while mantissa % 2 == 0 and exponent < FLOAT_EXPONENT:
        mantissa, exponent = mantissa // 2, exponent + 1
    return mantissa, exponent


def write_scale(mantissa: int, exponent: int) -> str:
    """Return m * 2^e in the notation of Lava."""
    power = f"2^{exponent}" if exponent else ""
    if not power or abs(mantissa) != 1:
        return f"{mantissa}*{power}" if power else str(mantissa)
    return f"-{power}" if mantissa < 0 else power


def write_products(products: tuple[Product, ...]) -> str:
    """Return a sum in the notation of Lava, which `read_products` and Lava read alike."""
    return " + ".join(str(product) for product in products).replace("+ -", "- ")


def read_products(target: str, text: str) -> tuple[Product, ...]:
    """Return the summands of a rule.

    Args:
        target: `dw` or `dt`, for messages.
        text: the rule, such as `2^-2*x1*y0 - 2^-3*y1*x0`.

    Raises:
        InputError: it cannot be read, or a chip could not hold it; with the nearest that it can.
    """
    return _Reader(target, text).read_sum()


class _Reader:
    """A text that is read from left to right."""

    def __init__(self, target: str, text: str) -> None:
        self.target, self.text = target, text
        self.tokens: list[str] = []
        at = 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            if match is None:
                self.refuse(f"cannot read {text[at:].strip()[:20]!r}")
            if len(match[1]) > LONGEST_NUMBER:
                self.refuse(f"{match[1][:8]}... has {len(match[1])} characters")
            self.tokens.append(match[1])
            at = match.end()
        self.tokens.reverse()
        if not self.tokens:
            self.refuse("it is empty; leave it out")

    def refuse(self, reason: str) -> NoReturn:
        """Raise an error that names the rule."""
        text = self.text
        if len(text) > LONGEST_SHOWN:
            text = f"{text[:LONGEST_SHOWN]}..."
        raise InputError(f"learning rule {self.target} = {text!r}: {reason}")

    def next_is(self, *tokens: str) -> bool:
        """Return whether one of some tokens follows."""
        return bool(self.tokens) and self.tokens[-1] in tokens

    def take(self) -> str:
        """Return the next token."""
        if not self.tokens:
            self.refuse("it ends too early")
        return self.tokens.pop()

    def expect(self, token: str) -> None:
        """Take a token that must come next."""
        token_here = self.take()
        if token_here != token:
            self.refuse(f"expected {token!r} before {token_here!r}")

    def read_sum(self) -> tuple[Product, ...]:
        """Return all products."""
        products = [self.read_product(first=True)]
        while self.tokens:
            products.append(self.read_product())
        decimations = sorted({p.decimation for p in products if p.dependency == "u"})
        if len(decimations) > 1:
            names = " and ".join(f"u{k}" for k in decimations)
            self.refuse(f"{names} have different intervals; a chip has one for all rules")
        return tuple(products)

    def read_sign(self, needed: bool) -> int:
        """Return +1 or -1 of the operators that come next."""
        sign, count = 1, 0
        while self.next_is("+", "-"):
            sign *= -1 if self.take() == "-" else 1
            count += 1
        if needed and not count:
            if not self.tokens:
                self.refuse("it ends too early")
            self.refuse(f"expected + or - before {self.tokens[-1]!r}")
        return sign

    def read_product(self, first: bool = False) -> Product:
        """Return one product with its sign."""
        scale = (self.read_sign(needed=not first), 0)
        dependency, factors = "", list[Factor]()
        more = True
        while more:
            token = self.take()
            if is_number(token):
                scale = multiply(scale, self.read_number(token))
            elif token[0] == "u" or (token in ("x0", "y0") and not dependency):
                if dependency:
                    self.refuse(f"{dependency} and {token} are two dependencies of one product")
                dependency = token
            else:
                factor, number = self.read_factor(token)
                scale = multiply(scale, number)
                factors += [factor] if factor else []
            more = self.next_is("*")
            if more:
                self.take()
        return self.make_product(scale, dependency, tuple(factors))

    def read_factor(self, token: str) -> tuple[Factor | None, Scale]:
        """Return the factor that a token begins, and what it scales the product by."""
        if token in WIDTHS:
            return Factor(token), (1, 0)
        if token not in ("(", "sgn"):
            self.refuse(self.explain_token(token))
        return self.read_brackets(sign=token == "sgn")

    def explain_token(self, token: str) -> str:
        """Return the reason against a token that is no factor."""
        if token == "d":
            return "d: delays do not learn, in Lava a rule on them has no effect; use the tag t"
        return f"expected a factor before {token!r}"

    def read_decimation(self, token: str) -> int:
        """Return k of uk."""
        k = int(token[1:])
        if k > LARGEST_K:
            self.refuse(f"{token}: the largest interval is u{LARGEST_K}")
        return k

    def read_number(self, token: str) -> Scale:
        """Return a number as m and e; one with a decimal point by its smallest m."""
        if not is_number(token):
            self.refuse(f"expected a number before {token!r}")
        if not self.next_is("^"):
            number = float(token)
            if not math.isfinite(number):
                self.refuse(f"{token} is too large")
            return (int(token), 0) if token.isdigit() else split_scale(number)
        if token != "2":
            self.refuse(f"{token}^ is no power of two")
        self.take()
        sign, power = self.read_sign(needed=False), self.take()
        if not power.isdigit() or int(power) > FLOAT_EXPONENT:
            self.refuse(f"2^{power} has no whole exponent within +-{FLOAT_EXPONENT}")
        return 1, sign * int(power)

    def read_brackets(self, sign: bool) -> tuple[Factor | None, Scale]:
        """Return the factor in brackets or after `sgn`, and what it scales the product by."""
        if sign:
            self.expect("(")
        variable, turned, constant = self.read_terms()
        self.expect(")")
        if sign and (variable not in ("w", "t") or turned < 0):
            self.refuse("sgn takes w or t, with a plus")
        if not variable:
            return None, constant
        if abs(constant[0]).bit_length() + constant[1] > FLOAT_EXPONENT:
            self.refuse(f"the constant beside {variable} is above 2^{FLOAT_EXPONENT}")
        value: float = math.ldexp(*constant)
        if value % 1 == 0:
            value = int(value)
        elif variable not in ("w", "t"):
            self.refuse(f"a constant of {value:g} beside {variable} must be a whole number")
        return Factor(variable, turned * value, sign), (turned, 0)

    def read_terms(self) -> tuple[str, int, Scale]:
        """Return the variable within brackets, its sign and the constant beside it."""
        variable, turned, constant = "", 1, (0, 0)
        first = True
        while not self.next_is(")"):
            plus = self.read_sign(needed=not first)
            token = self.take()
            if token in WIDTHS and not variable:
                variable, turned = token, plus
            elif is_number(token) and constant == (0, 0):
                constant = multiply((plus, 0), self.read_number(token))
                while self.next_is("*"):
                    self.take()
                    constant = multiply(constant, self.read_number(self.take()))
            else:
                self.refuse(self.explain_token(token))
            first = False
        return variable, turned, constant

    def make_product(self, scale: Scale, dependency: str, factors: tuple[Factor, ...]) -> Product:
        """Return a product whose scale a mantissa and an exponent hold, as Lava chooses them."""
        if not dependency:
            self.refuse("a product has no dependency; multiply it by x0, y0 or u0")
        mantissa, exponent = scale
        while abs(mantissa) > MANTISSA[1] and mantissa % 2 == 0 and exponent < EXPONENT[1]:
            mantissa, exponent = mantissa // 2, exponent + 1
        if abs(mantissa).bit_length() + exponent > 2 * FLOAT_EXPONENT:
            self.refuse(f"a factor of a product is above 2^{2 * FLOAT_EXPONENT}")
        if not MANTISSA[0] <= mantissa <= MANTISSA[1]:
            value = math.ldexp(*scale)
            nearest = find_nearest_scale(value)
            self.refuse(
                f"{value:g} is no m*2^e with m of {MANTISSA[0]}..{MANTISSA[1]}; the nearest is"
                f" {write_scale(*nearest)} = {math.ldexp(*nearest):g}"
            )
        decimation = self.read_decimation(dependency) if dependency[0] == "u" else 0
        product = Product(
            mantissa, exponent, "u" if dependency[0] == "u" else dependency, factors, decimation
        )
        if product.width > WIDTH_LIMIT:
            self.refuse(
                f"{product}: its factors have {product.width} bits, {WIDTH_LIMIT} are allowed"
            )
        return product


def is_number(token: str) -> bool:
    """Return whether a token is a number."""
    return token[0].isdigit() or token[0] == "."


def multiply(a: Scale, b: Scale) -> Scale:
    """Return the product of two numbers m * 2^e; the mantissas stay as they are."""
    return a[0] * b[0], a[1] + b[1]


def split_scale(scale: float) -> Scale:
    """Return the m and e of m * 2^e with the smallest m."""
    if scale == 0:
        return 0, 0
    fraction, exponent = math.frexp(scale)
    mantissa = int(fraction * 2**53)
    exponent -= 53
    while mantissa % 2 == 0:
        mantissa, exponent = mantissa // 2, exponent + 1
    return mantissa, exponent
