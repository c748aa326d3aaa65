"""The zoo: published parameter counts, output shapes, and that tiny forms learn."""

import math

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, random
from funcgrad.nn import zoo

key = random.key(0)
rng = np.random.default_rng(0)


def floats(*shape):
    return fg.ShapeDtypeStruct(shape, np.float32)


def words(*shape):
    return fg.ShapeDtypeStruct(shape, np.int32)


def count(params):
    return sum(math.prod(leaf.shape) for leaf in fg.tree.leaves(params))


photo, picture = floats(2, 224, 224, 3), floats(2, 256, 256, 3)
LSTM_65 = 65 * 512 + 128 * 512 + 512 + 2 * 128 * 512 + 512
WORDS = 160_000 * 1000 + 2 * 80_000 * 1000 + 80_000

# name: the network, its input, its count of params, the shape of its output. Counts of networks on
# photos are those that torchvision documents, MobileNet's that of Keras without running averages.
NETWORKS = {
    "lenet5": (zoo.lenet5(), floats(2, 28, 28, 1), 156 + 2416 + 48120 + 10164 + 850, (2, 10)),
    "alexnet": (zoo.alexnet(), photo, 61_100_840, (2, 1000)),
    "vgg16": (zoo.vgg16(), photo, 138_357_544, (2, 1000)),
    "resnet18": (zoo.resnet18(), photo, 11_689_512, (2, 1000)),
    "resnet34": (zoo.resnet34(), photo, 21_797_672, (2, 1000)),
    "resnet50": (zoo.resnet50(), photo, 25_557_032, (2, 1000)),
    "resnet101": (zoo.resnet101(), photo, 44_549_160, (2, 1000)),
    "resnet152": (zoo.resnet152(), photo, 60_192_808, (2, 1000)),
    "googlenet": (zoo.googlenet(), photo, 6_624_904, (2, 1000)),
    "densenet121": (zoo.densenet121(), photo, 7_978_856, (2, 1000)),
    "squeezenet 1.0": (zoo.squeezenet(), photo, 1_248_424, (2, 1000)),
    "squeezenet 1.1": (zoo.squeezenet(version="1.1"), photo, 1_235_496, (2, 1000)),
    "mobilenet": (zoo.mobilenet(), photo, 4_231_976, (2, 1000)),
    "shufflenet": (zoo.shufflenet(), photo, 2_278_604, (2, 1000)),
    "siamese digits": (
        zoo.siamese(zoo.embed_digits()),
        (floats(2, 28, 28, 1),) * 2,
        520 + 25_050 + 400_500 + 5_010 + 22,
        ((2, 2),) * 2,
    ),
    # C1, C5 and F6 as the paper counts them; C3 of all maps.
    "siamese faces": (
        zoo.siamese(zoo.embed_faces()),
        (floats(2, 56, 46, 1),) * 2,
        750 + 45 * (15 * 36 + 1) + 281_500 + 12_550,
        ((2, 50),) * 2,
    ),
    # pix2pix's and CycleGAN's code prints 54.414 M, 2.769 M, 11.378 M and 2.765 M.
    "unet": (zoo.unet(), picture, 54_413_955, (2, 256, 256, 3)),
    "patches": (zoo.patch_discriminator(), floats(2, 256, 256, 6), 2_768_705, (2, 30, 30, 1)),
    "cyclegan_generator": (zoo.cyclegan_generator(), picture, 11_378_179, (2, 256, 256, 3)),
    "cyclegan_discriminator": (zoo.cyclegan_discriminator(), picture, 2_764_737, (2, 30, 30, 1)),
    "dcgan_generator": (zoo.dcgan_generator(), floats(2, 100), 3_576_704, (2, 64, 64, 3)),
    "dcgan_discriminator": (zoo.dcgan_discriminator(), floats(2, 64, 64, 3), 2_765_568, (2,)),
    "char_lstm": (zoo.char_lstm(65), words(2, 50), LSTM_65 + 129 * 65, (2, 50, 65)),
    "seq2seq": (
        zoo.seq2seq(160_000, 80_000),
        (words(2, 7), words(2, 5)),
        WORDS + 2 * 4 * (8_000_000 + 4000),
        (2, 5, 80_000),
    ),
    "gpt": (zoo.gpt(), words(2, 1024), 124_439_808, (2, 1024, 50257)),
    "vit": (zoo.vit(), photo, 5_717_416, (2, 1000)),
    "vae": (zoo.vae(), floats(2, 28, 28), 652_824, ((2, 784), (2, 20), (2, 20))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_counts_and_shapes(name):
    network, x, params_count, shape = NETWORKS[name]
    params, state = fg.eval_shape(network.init, key, x)
    assert count(params) == params_count
    y, new = fg.eval_shape(network.apply, params, state, x)
    shapes = tuple(v.shape for v in y) if isinstance(y, tuple) else y.shape
    assert shapes == shape
    assert fg.tree.structure(new) == fg.tree.structure(state)


def labels(n, classes):
    return rng.integers(0, classes, n).astype(np.int32)


def class_loss(y, target):
    return nn.softmax_cross_entropy(y, target).mean()


def pair_loss(y, same):
    return nn.contrastive_loss(*y, same).mean()


def realness(logits, real):
    return nn.sigmoid_binary_cross_entropy(logits, real).mean()


def image_loss(y, target):
    return fnp.mean(fnp.abs(y - target))


def negative_bound(y, x):
    logits, mean, log_variance = y
    seen = nn.sigmoid_binary_cross_entropy(logits, x.reshape(logits.shape)).sum()
    return seen - fnp.sum(1 + log_variance - mean**2 - fnp.exp(log_variance)) / 2


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


ids = rng.integers(0, 9, (2, 6)).astype(np.int32)
pixels = rng.uniform(size=(3, 4, 4)).astype(np.float32)


# name: the network, its input, the target of its loss, the loss
TINY = {
    "lenet5": (zoo.lenet5(4), normal(3, 28, 28, 1), labels(3, 4), class_loss),
    "squeezenet": (zoo.squeezenet(10, dropout=0.0), normal(2, 32, 32, 3), labels(2, 4), class_loss),
    "mobilenet": (
        zoo.mobilenet(4, width=0.125, dropout=0.0),
        normal(3, 32, 32, 3),
        labels(3, 4),
        class_loss,
    ),
    "siamese": (
        zoo.siamese(zoo.embed_faces()),
        (normal(2, 56, 46, 1), normal(2, 56, 46, 1)),
        np.array([1, 1], np.int32),
        pair_loss,
    ),
    "unet": (zoo.unet(1, width=2, depth=4), normal(2, 16, 16, 3), normal(2, 16, 16, 1), image_loss),
    "patches": (
        zoo.patch_discriminator(width=2),
        normal(2, 32, 32, 2),
        np.ones((2, 2, 2, 1), np.float32),
        realness,
    ),
    "cyclegan": (
        zoo.cyclegan_generator(1, width=2, blocks=1),
        normal(1, 16, 16, 1),
        normal(1, 16, 16, 1),
        image_loss,
    ),
    "dcgan_generator": (
        zoo.dcgan_generator(1, width=1),
        normal(3, 5),
        normal(3, 64, 64, 1),
        image_loss,
    ),
    "dcgan_discriminator": (
        zoo.dcgan_discriminator(width=1),
        normal(3, 64, 64, 1),
        np.array([1, 0, 1], np.float32),
        realness,
    ),
    "char_lstm": (zoo.char_lstm(9, 8), ids, ids[:, ::-1], class_loss),
    "seq2seq": (zoo.seq2seq(9, 9, 8, 2), (ids, ids[:, :4]), ids[:, 1:5], class_loss),
    "gpt": (zoo.gpt(9, 6, 8, 2, 2), ids, ids[:, ::-1], class_loss),
    "vit": (
        zoo.vit(4, size=8, patch=4, features=8, heads=2, layers=2),
        normal(3, 8, 8, 1),
        labels(3, 4),
        class_loss,
    ),
    "vae": (zoo.vae(16, 8, 2), pixels, pixels, negative_bound),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_step_down_the_gradient_lowers_the_loss_as_far_as_it_says(name):
    network, x, target, loss_of = TINY[name]
    params, state = network.init(key, x)
    share = 1e-3

    @fg.jit
    def losses(params):
        def loss(params):
            y, _ = network.apply(params, state, x, train=True)
            return loss_of(y, target)

        value, slope = fg.value_and_grad(loss)(params)
        square = sum(fnp.sum(g**2) for g in fg.tree.leaves(slope))
        rate = share * value / square
        moved = fg.tree.map(lambda p, g: p - rate * g, params, slope)
        return value, loss(moved)

    before, after = losses(params)
    np.testing.assert_allclose(before - after, share * before, rtol=0.2)


def test_dcgan_makes_and_judges_images_of_any_power_of_two():
    for size, count in ((8, 6 * 16 * 8 + 16 + 16 * 8), (32, None)):
        generator = zoo.dcgan_generator(1, width=8, size=size)
        critic = zoo.dcgan_discriminator(width=8, size=size)
        params, state = generator.init(key, normal(2, 6))
        if count is not None:
            assert sum(leaf.size for leaf in fg.tree.leaves(params)) == count
        images, _ = generator.apply(params, state, normal(2, 6))
        assert images.shape == (2, size, size, 1)
        assert critic.apply(*critic.init(key, images), images)[0].shape == (2,)
    for size in (4, 12, 33, 0):
        for make in (zoo.dcgan_generator, zoo.dcgan_discriminator):
            with pytest.raises(ValueError, match=f"got a size of {size}"):
                make(size=size)


def test_siamese_gives_both_the_same_params_and_refuses_other_pairs():
    network = zoo.siamese(nn.dense(3))
    a, b = normal(2, 4), normal(2, 4)
    params, state = network.init(key, (a, b))
    (first, second), _ = network.apply(params, state, (a, b))
    np.testing.assert_allclose(first, a @ params["weight"], rtol=1e-5)
    np.testing.assert_allclose(second, b @ params["weight"], rtol=1e-5)
    for wrong in (a, (a, b, b), (a, b[:1])):
        with pytest.raises(ValueError, match="pair of arrays of one shape"):
            network.apply(params, state, wrong)


def test_gpt_decodes_from_its_cache_what_it_makes_of_the_whole():
    whole, cached = zoo.gpt(9, 6, 8, 2, 2), zoo.gpt(9, 6, 8, 2, 2, cache=True)
    params, state = cached.init(key, ids[:, :1])
    expected, _ = whole.apply(params, whole.init(key, ids)[1], ids)
    for i in range(ids.shape[1]):
        y, state = cached.apply(params, state, ids[:, i : i + 1])
        np.testing.assert_allclose(y[:, 0], expected[:, i], atol=1e-5)


def test_char_lstm_goes_on_where_it_was():
    whole, part = zoo.char_lstm(9, 8), zoo.char_lstm(9, 8, carry=True)
    params, state = part.init(key, ids[:, :3])
    expected, _ = whole.apply(params, whole.init(key, ids)[1], ids)
    first, state = part.apply(params, state, ids[:, :3])
    second, _ = part.apply(params, state, ids[:, 3:])
    np.testing.assert_allclose(fnp.concatenate([first, second], 1), expected, atol=1e-5)


def test_seq2seq_sees_the_source_up_to_its_length():
    network = zoo.seq2seq(9, 9, 8, 2)
    params, state = network.init(key, (ids, ids))
    lengths = np.array([6, 3], np.int32)
    y, _ = network.apply(params, state, (ids, ids, lengths))
    alone, _ = network.apply(params, state, (ids[1:, :3], ids[1:]))
    other, _ = network.apply(params, state, (ids[1:], ids[1:]))
    np.testing.assert_allclose(y[1:], alone, atol=1e-6)
    assert np.abs(alone - other).max() > 1e-4
    # A target word is seen by those after it alone.
    changed = ids.copy()
    changed[:, 4] = (changed[:, 4] + 1) % 9
    z, _ = network.apply(params, state, (ids, changed, lengths))
    np.testing.assert_allclose(z[:, :4], y[:, :4], atol=1e-6)
    assert np.abs(z[:, 4:] - y[:, 4:]).max() > 1e-4
    with pytest.raises(ValueError, match="seq2seq takes"):
        network.apply(params, state, ids)


def test_vae_draws_codes_in_training_only_and_its_decoder_stands_alone():
    network = zoo.vae(16, 8, 2)
    params, state = network.init(key, pixels)
    (logits, mean, _), same = network.apply(params, state, pixels)
    assert fg.tree.all(fg.tree.map(lambda a, b: a is b, same, state))
    decoded, _ = zoo.vae_decoder(16, 8).apply(params[-1][0][1], [()] * 3, mean)
    np.testing.assert_allclose(logits, decoded, rtol=1e-5)
    (drawn, _, _), state = network.apply(params, state, pixels, train=True)
    (again, _, _), _ = network.apply(params, state, pixels, train=True)
    assert np.abs(drawn - logits).max() > 1e-4
    assert np.abs(drawn - again).max() > 1e-4


def test_squeezenet_names_its_versions():
    with pytest.raises(ValueError, match=r"versions \('1.0', '1.1'\), got '2'"):
        zoo.squeezenet(version="2")
