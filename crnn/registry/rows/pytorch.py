"""PyTorch's rows: smaller models, quantization, other ways of execution."""

from crnn.registry.rows import originals
from crnn.registry.rows.originals import RECIPES, SAME_WEIGHTS

# Smaller PyTorch models.
PRUNED_FULL = originals.TORCH.derive(
    "torch-channel-pruned-full",
    "a tenth of all channels pruned",
    f"{RECIPES}.channel_pruning:prune",
    trained=True,
    recipe_options={"fraction": 0.1, "recurrent": True},
    parameters=1_218_859,
    macs=191_873_700,
    max_bytes=4_950_000,
)
PRUNED_PARTIAL = PRUNED_FULL.sibling(
    "torch-channel-pruned-partial",
    "a tenth of convolution channels pruned",
    recipe_options={"fraction": 0.1, "recurrent": False},
    parameters=1_389_809,
    macs=200_401_200,
    max_bytes=5_650_000,
    max_peak_memory_bytes=905_000_000,
)
PRUNED_ITERATIVE = originals.TORCH.derive(
    "torch-channel-pruned-iterative",
    "pruned in steps by Taylor scores, distilled",
    f"{RECIPES}.iterative_pruning:prune",
    trained=True,
    recipe_options={"reduction": 3.0, "steps": 4, "criterion": "taylor"},
    parameters=712_390,
    macs=77_001_600,
    max_bytes=2_950_000,
    max_peak_memory_bytes=690_000_000,
)
DISTILLED = originals.TORCH.derive(
    "torch-distilled",
    "student, distilled offline",
    f"{RECIPES}.distillation:distill",
    trained=True,
    parameters=922_702,
    macs=127_699_200,
    max_bytes=3_750_000,
    max_peak_memory_bytes=690_000_000,
)
CLUSTERED_16 = originals.TORCH.derive(
    "torch-clustered-16",
    "16 clusters per tensor",
    f"{RECIPES}.clustering:cluster",
    trained=True,
    recipe_options={"clusters": 16},
    max_bytes=800_000,
    max_cer_difference=0.0015,
    # The original's graph with other weights.
    watched=False,
)
CLUSTERED_64 = CLUSTERED_16.sibling(
    "torch-clustered-64",
    "64 clusters per tensor",
    recipe_options={"clusters": 64},
    max_bytes=1_200_000,
    max_cer_difference=0.0013,
)

# PyTorch's original, quantized after training or executed differently.
_QUANTIZATION = f"{RECIPES}.quantization"
INT8_DYNAMIC = originals.TORCH.derive(
    "torch-int8-dynamic",
    "dynamic int8 LSTMs",
    f"{_QUANTIZATION}:dynamic_int8",
    max_bytes=2_900_000,
    max_peak_memory_bytes=980_000_000,
    max_log_prob_difference=4.8,
    # Scales are taken from each batch, so the output for a line depends a little on its neighbours:
    # 22 of the 2,000 lines are read differently at batch 1 than at batch 128.
    max_timed_difference=3.4,
    max_lines_read_differently=30,
)
INT8_STATIC = originals.TORCH.derive(
    "torch-int8-static",
    "static int8 convolutions (PT2E), inductor",
    f"{_QUANTIZATION}:static_int8",
    precision="int8",
    runtime="torch_compiled",
    runtime_options={"channels_last": True},
    # Calibration draws the validation split.
    requires=("torchao", "faker", "tqdm"),
    max_bytes=4_900_000,
    max_log_prob_difference=4.4,
)
BF16 = originals.TORCH.derive(
    "torch-bf16",
    "bfloat16 throughout",
    f"{_QUANTIZATION}:to_bfloat16",
    precision="bf16",
    runtime_options={"dtype": "bfloat16"},
    max_bytes=3_100_000,
    max_peak_memory_bytes=850_000_000,
    max_log_prob_difference=1.0,
    max_lines_read_differently=2,
    max_timed_difference=0.37,
)
CHANNELS_LAST = originals.TORCH.derive(
    "torch-channels-last",
    "channels last",
    SAME_WEIGHTS,
    runtime_options={"channels_last": True},
    max_log_prob_difference=1e-4,
)
COMPILED = CHANNELS_LAST.sibling("torch-compiled", "inductor", runtime="torch_compiled")
AOTI = originals.TORCH.derive(
    "torch-aoti",
    "inductor, ahead of time",
    f"{RECIPES}.aoti:compile_ahead",
    runtime="aoti",
    suffix=".pt2",
    compiled=True,
    max_bytes=8_100_000,
    max_peak_memory_bytes=740_000_000,
    max_log_prob_difference=1e-4,
)
