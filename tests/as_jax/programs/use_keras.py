"""keras: a convolutional network and a recurrent one with attention, fitted, saved and loaded."""

import os
import tempfile

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
images = rng.normal(size=(256, 12, 12, 1)).astype("float32")
classes = (images.mean((1, 2, 3)) > 0).astype("int32")
network = keras.Sequential(
    [
        layers.Input((12, 12, 1)),
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.1),
        layers.Dense(16, activation="gelu"),
        layers.Dense(2),
    ]
)
network.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
record = network.fit(images, classes, batch_size=64, epochs=12, verbose=0).history
assert record["loss"][-1] < 0.6 * record["loss"][0], record
_, accuracy = network.evaluate(images, classes, verbose=0)
assert accuracy > 0.8, accuracy

words = keras.Input((20,), dtype="int32")
embedded = layers.Embedding(50, 16)(words)
attended = layers.LayerNormalization()(
    embedded + layers.MultiHeadAttention(2, 8)(embedded, embedded)
)
both = layers.Concatenate()(
    [layers.Bidirectional(layers.LSTM(8))(attended), layers.GRU(8)(attended)]
)
# The size of a batch is unknown here: shapes of layers are inferred for sizes unknown.
assert both.shape == (None, 24), both.shape
model = keras.Model(words, layers.Dense(1)(both))
model.compile(optimizer="rmsprop", loss="mse")
texts = rng.integers(0, 50, (128, 20))
target = (texts.sum(1) / 500).astype("float32")
losses = model.fit(texts, target, epochs=5, verbose=0).history["loss"]
assert losses[-1] < 0.3 * losses[0], losses
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/model.keras")
    loaded = keras.models.load_model(f"{folder}/model.keras")
np.testing.assert_array_equal(loaded.predict(texts, verbose=0), model.predict(texts, verbose=0))
