"""Batch normalisation by TensorFlow's fused kernel: the same values and gradients, less time."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="lentigo")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc] # untyped
    """`BatchNormalization` over feature maps [n, h, w, c], trained with the fused kernel.

    Keras spells the training pass out in some fifteen element-wise operations. The fused kernel
    does it in two, which makes MobileNet's tail a fifth faster on two cores
    (docs/decisions/0005-fused-batch-normalisation.md). Outside training, and while frozen, it is
    Keras' own layer.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalise feature maps.

        Args:
            inputs: float32 [n, h, w, c].
            training: whether to use the batch's own statistics and follow them.
            mask: not supported; as in Keras' own layer, None for feature maps.

        Returns:
            float32 [n, h, w, c].
        """
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance)
        return outputs

    def _follow(self, average: keras.Variable, value: tf.Tensor) -> None:
        average.assign(average * self.momentum + value * (1.0 - self.momentum))
