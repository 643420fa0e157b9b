"""Training with guidance, as the ablation of the fastest recognizer has it."""

from dataclasses import replace

import pytest
import torch

from crnn.models.torch_crnn import CRNN
from crnn.optimize.studies._guided import AttentionLearner, MatchingLearner
from crnn.tests.test_conv import SMALL
from crnn.tests.test_training import ALPHABET, TINY, corpus
from crnn.training.batches import training_batches
from crnn.training.loop import Schedule
from crnn.training.torch_learner import TorchLearner

SCHEDULE = Schedule(batch_size=4)
CONFIG = replace(SMALL, classes=4)
BATCH = next(training_batches(corpus().train, ALPHABET, 4, 1, 0))


def learner(guide):
    """A learner with a guide."""
    return MatchingLearner(CONFIG, SCHEDULE, CRNN(TINY)) if guide == "matching" else AttentionLearner(CONFIG, SCHEDULE)


@pytest.mark.parametrize("guide", ["matching", "attention"])
class TestGuide:
    """Of both kinds."""

    def test_learns(self, guide):
        """After twenty steps the loss of the guide alone is lower."""
        guided, plain = learner(guide), TorchLearner(CONFIG, SCHEDULE)

        def guides_loss():
            logits = guided._logits(BATCH.images, BATCH.field)
            return (guided._batch_loss(logits, BATCH) - plain._batch_loss(logits, BATCH)).item()

        before = guides_loss()
        for _ in range(20):
            guided.step(BATCH, 1e-3)

        assert guides_loss() < before

    def test_is_not_shipped(self, guide):
        """The student's weights are those of one without a guide."""
        weights = TorchLearner(CONFIG, SCHEDULE).model.state_dict()

        assert learner(guide).model.state_dict().keys() == weights.keys()

    def test_reaches_the_features(self, guide):
        """The first convolution learns from the guide alone."""
        guided, plain = learner(guide), TorchLearner(CONFIG, SCHEDULE)
        logits = guided._logits(BATCH.images, BATCH.field)
        (guided._batch_loss(logits, BATCH) - plain._batch_loss(logits, BATCH)).backward()

        assert guided.model.columns[0].conv.weight.grad.abs().max() > 1e-6


def test_the_decoder_sees_no_later_character():
    """What the decoder writes at a place does not depend on that character or a later one."""
    decoder = AttentionLearner(CONFIG, SCHEDULE)._guide
    features = torch.rand(1, CONFIG.features, 1, 50)
    written = [decoder(features, torch.tensor([[1, 2, last]])) for last in (1, 3)]

    assert torch.equal(written[0][:, :3], written[1][:, :3])
    assert not torch.equal(written[0][:, 3], written[1][:, 3])
