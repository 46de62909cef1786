"""How much memory a part of a transformer needs while it answers: the estimate that a cut is made by, and shows."""

from fleetfold_contracts.inventory import Precision
from fleetfold_contracts.workloads import MemoryEstimate, Model

MIB = 1024**2
STEP_TOKENS = 8192
"""No more tokens go through the layers at once: a program that serves feeds a longer prompt in portions."""
FIXED_OVERHEAD_BYTES = 512 * MIB
"""What the backend's context and its kernels take."""
FRAGMENTATION_PERCENT = 4
"""What is lost between pieces of memory: Kwon et al., "Efficient Memory Management for Large Language Model Serving
with PagedAttention" (2023), find less than 4 % where memory is handed out in blocks."""

_BITS: dict[Precision, int] = {
    Precision.FP64: 64,
    Precision.FP32: 32,
    Precision.TF32: 32,
    Precision.BF16: 16,
    Precision.FP16: 16,
    Precision.FP8: 8,
    Precision.INT8: 8,
    Precision.INT4: 4,
}


def estimate(model: Model, layers: int, parts: int = 1) -> MemoryEstimate:
    """The memory of `layers` layers of a model, each of them cut into `parts`, on the device of one part.

    - weights: `weight_bytes x layers / all layers / parts`; what is not in a layer (embeddings) is spread over them.
    - cache: `2 x key/value heads of the part x head size x bytes of a number` a token and layer (keys and values:
      Kwon et al. 2023, section 3; fewer heads than queries have: Ainslie et al., "GQA", 2023), times the tokens of all
      contexts. A part holds one head at least, whole heads always.
    - activations: `tokens x hidden size x (10 + 24 / parts)` bytes at 16 bits, of the one layer that works at a time
      (Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022, equation 4, without
      the matrix of attention, which current kernels never write down).
    - overhead: half a GiB, and 4 % of all the rest.
    """
    weights_bytes = _share(model.weight_bytes * layers, model.layers * parts)
    cache_bytes = _cache_bytes(model, layers, parts)
    activations_bytes = _activations_bytes(model, parts)
    used_bytes = weights_bytes + cache_bytes + activations_bytes
    return MemoryEstimate(
        weights_bytes=weights_bytes,
        cache_bytes=cache_bytes,
        activations_bytes=activations_bytes,
        overhead_bytes=FIXED_OVERHEAD_BYTES + _share(used_bytes * FRAGMENTATION_PERCENT, 100),
    )


def total_bytes(memory: MemoryEstimate) -> int:
    """All parts of an estimate together."""
    return memory.weights_bytes + memory.cache_bytes + memory.activations_bytes + memory.overhead_bytes


def may_be_cut_into(model: Model, parts: int) -> bool:
    """Whether each layer can be cut into so many equal parts: they divide the attention heads and the hidden size."""
    return model.attention_heads % parts == 0 and model.hidden_size % parts == 0


def _cache_bytes(model: Model, layers: int, parts: int) -> int:
    heads = model.key_value_heads or model.attention_heads
    own_heads = _share(heads, parts)
    tokens = model.context_tokens * model.sequences
    if model.cache_bytes_per_token is not None:
        return _share(model.cache_bytes_per_token * tokens * layers * own_heads, model.layers * heads)
    head_size = model.hidden_size // model.attention_heads
    return _share(2 * own_heads * head_size * _BITS[model.precision] * tokens * layers, 8)


def _activations_bytes(model: Model, parts: int) -> int:
    tokens = min(STEP_TOKENS, max(1, model.context_tokens) * model.sequences)
    return _share(tokens * model.hidden_size * (10 * parts + 24) * _BITS[model.precision], 16 * parts)


def _share(amount: int, among: int) -> int:
    """Division that rounds up: an estimate errs on the safe side."""
    return -(-amount // among)
