"""dm-pix: images, augmented and compared."""

import dm_pix
import jax
import jax.numpy as jnp

image = jax.random.uniform(jax.random.key(0), (8, 9, 3))
assert jnp.allclose(dm_pix.hsv_to_rgb(dm_pix.rgb_to_hsv(image)), image, atol=1e-5)
assert jnp.array_equal(dm_pix.flip_left_right(image), image[:, ::-1])
blurred = jax.jit(lambda x: dm_pix.gaussian_blur(x, 1.0, 3))(image)
assert blurred.shape == image.shape and float(blurred.std()) < float(image.std())
assert float(dm_pix.psnr(image, image + 0.1)) == 20.0 or jnp.allclose(
    dm_pix.psnr(image, image + 0.1), 20.0, atol=1e-3
)
assert jnp.allclose(dm_pix.ssim(jnp.ones((16, 16, 3)), jnp.ones((16, 16, 3))), 1.0)
crop = dm_pix.random_crop(jax.random.key(1), image, (4, 4, 3))
assert crop.shape == (4, 4, 3)
