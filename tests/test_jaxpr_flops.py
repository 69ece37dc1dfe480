"""FLOPs of a JAX program, counted on stand-ins with the shape of its own: no JAX is needed."""

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.frameworks.jax import jaxpr_flops


def array(*shape: int) -> Any:
    return SimpleNamespace(aval=SimpleNamespace(shape=shape))


def operation(name: str, inputs: list[Any], out: Any, **given: Any) -> Any:
    return SimpleNamespace(
        primitive=SimpleNamespace(name=name), invars=inputs, outvars=[out], params=given
    )


def program(*operations: Any) -> Any:
    return SimpleNamespace(eqns=list(operations))


# (8, 3) times (3, 5): 8 * 5 sums of 3 terms
PRODUCT = operation(
    "dot_general", [array(8, 3), array(3, 5)], array(8, 5),
    dimension_numbers=(((1,), (0,)), ((), ())),
)  # fmt: skip
# 2 images, 4 x 4 out, 6 filters of 3 x 3 over 5 channels; the kernel is (h, w, in, out)
CONVOLUTION = operation(
    "conv_general_dilated", [array(2, 6, 6, 5), array(3, 3, 5, 6)], array(2, 4, 4, 6),
    dimension_numbers=SimpleNamespace(rhs_spec=(3, 2, 0, 1)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("counted", "flops"),
    [
        (program(), 0),
        (program(operation("tanh", [array(8)], array(8))), 0),
        (program(PRODUCT), 2 * 8 * 5 * 3),
        (program(CONVOLUTION), 2 * (2 * 4 * 4 * 6) * (3 * 3 * 5)),
        (program(PRODUCT, PRODUCT, CONVOLUTION), 2 * 240 + 17_280),
        # A jitted function and a loop hold programs of their own.
        (
            program(operation("jit", [], array(), jaxpr=SimpleNamespace(jaxpr=program(PRODUCT)))),
            240,
        ),
        (program(operation("scan", [], array(), jaxpr=program(PRODUCT), length=7)), 7 * 240),
        (program(operation("cond", [], array(), branches=(program(PRODUCT), program()))), 240),
    ],
)
def test_products_and_convolutions_count_two_per_multiply_accumulate(
    counted: Any, flops: float
) -> None:
    assert jaxpr_flops.count(counted) == flops
