"""Conversion to ExecuTorch, with all layers but the last softmax computed by XNNPACK."""

import warnings
from typing import TYPE_CHECKING, Any

from crnn.optimize.recipe import Build

if TYPE_CHECKING:
    from crnn.models.torch_crnn import CRNN

# XNNPACK concatenates up to five tensors.
_CONCATENATED = 5


def unroll(model: "CRNN") -> None:
    """Replace a model's LSTMs, in place, by layers that XNNPACK has."""
    import torch
    from torch import Tensor, nn

    class Unrolled(nn.Module):
        """An LSTM as one linear layer for all inputs and one per time step for the hidden state."""

        def __init__(self, lstm: nn.LSTM) -> None:
            super().__init__()
            self.units = lstm.hidden_size
            self.inputs = nn.Linear(lstm.input_size, 4 * self.units)
            self.hidden = nn.Linear(self.units, 4 * self.units, bias=False)
            self.inputs.weight, self.hidden.weight = lstm.weight_ih_l0, lstm.weight_hh_l0
            self.inputs.bias = nn.Parameter((lstm.bias_ih_l0 + lstm.bias_hh_l0).detach())

        def forward(self, steps: Tensor) -> tuple[Tensor, None]:
            from_inputs, state = self.inputs(steps), None
            outputs: list[Tensor] = []
            for step in range(steps.shape[1]):
                gates = from_inputs[:, step : step + 1]
                # The first hidden state is zero.
                if outputs:
                    gates = gates + self.hidden(outputs[-1])
                opened, kept, cell, shown = (
                    gates[:, :, start : start + self.units] for start in range(0, 4 * self.units, self.units)
                )
                new = torch.sigmoid(opened) * torch.tanh(cell)
                state = new if state is None else torch.sigmoid(kept) * state + new
                outputs.append(torch.sigmoid(shown) * torch.tanh(state))
            while len(outputs) > 1:
                groups = [outputs[start : start + _CONCATENATED] for start in range(0, len(outputs), _CONCATENATED)]
                outputs = [torch.cat(group, 1) for group in groups]
            return outputs[0], None

    model.lstms = nn.ModuleList(Unrolled(lstm) for lstm in model.lstms)


def convert(build: Build, *, largest_batch: int = 1) -> dict[str, Any]:
    """Convert the parent, a ``.pt`` file, for batches up to a size.

    XNNPACK has no LSTM. The exporter would unroll it with ``split`` and ``squeeze``, which XNNPACK lacks too:
    that gives 104 graphs for XNNPACK and 200 operators between them. Here LSTMs are unrolled with slices,
    which gives two graphs. Only ``unsqueeze``, ``squeeze`` and ``log_softmax`` are computed by ExecuTorch's
    own kernels.

    Args:
        build: the artifact to build.
        largest_batch: the program takes batches up to this size, and its memory is planned for it. Above 1 the
            batch size is a symbol, with which the conversion of unrolled LSTMs was not finished after eight minutes.
    """
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    from crnn.formats import pt_file
    from crnn.models import torch_crnn

    model = pt_file.load(build.source)
    config = model.config
    unroll(model)
    example = (
        torch.zeros(largest_batch, config.height, config.width),
        torch.zeros(largest_batch, config.time_steps, config.field_features),
    )
    # The exporter takes a size of 1 for a constant.
    batch = torch.export.Dim("batch", min=1, max=largest_batch) if largest_batch > 1 else None
    with warnings.catch_warnings():
        # The exporter's, about its own code.
        warnings.simplefilter("ignore")
        module = torch_crnn.LogProbabilities(model).eval()
        shapes = ({0: batch}, {0: batch}) if batch else None
        exported = torch.export.export(module, example, dynamic_shapes=shapes)
        # Its verifier would take minutes for the 1,700 nodes of unrolled LSTMs.
        settings = EdgeCompileConfig(_check_ir_validity=False)
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()], compile_config=settings)
        build.target.write_bytes(lowered.to_executorch().buffer)
    return {"largest_batch": largest_batch}
