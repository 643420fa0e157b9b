"""LiteRT's rows: TensorFlow's original, converted after training."""

from crnn.registry.rows import originals
from crnn.registry.rows.keras import INT8_BYTES, LITERT
from crnn.registry.rows.originals import RECIPES

LITERT_FP32 = originals.TF.derive(
    "litert-fp32",
    "LiteRT fp32",
    f"{RECIPES}.litert_convert:convert",
    **LITERT,
    recipe_options={"quantization": "none"},
    requires=("tensorflow", "tf_keras", "tensorflow_model_optimization"),
    max_log_prob_difference=1e-4,
)
LITERT_AS_CONVERTED = LITERT_FP32.sibling(
    "litert-fp32-as-converted",
    "LiteRT fp32, as converted",
    recipe_options={"quantization": "none", "as_converted": True},
    # The converter clips LSTM cells at 10, Keras does not.
    max_log_prob_difference=3.0,
    # Illustrative: litert-fp32 without this suite's edits.
    watched=False,
)
LITERT_FP16 = LITERT_FP32.sibling(
    "litert-fp16",
    "LiteRT fp16",
    recipe_options={"quantization": "float16"},
    max_bytes=3_200_000,
    max_log_prob_difference=0.09,
    # The graph of litert-fp32.
    watched=False,
)
LITERT_DYNAMIC = LITERT_FP32.sibling(
    "litert-int8-dynamic",
    "LiteRT int8-dynamic",
    precision="int8",
    recipe_options={"quantization": "dynamic"},
    max_bytes=1_700_000,
    max_log_prob_difference=2.7,
)
LITERT_STATIC = LITERT_FP32.sibling(
    "litert-int8-static",
    "LiteRT int8-static",
    precision="int8",
    recipe_options={"quantization": "static"},
    max_bytes=INT8_BYTES,
    max_log_prob_difference=8.8,
)
