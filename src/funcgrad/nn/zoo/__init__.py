"""Known networks, each a function that gives a `Layer`, built from the layers of `funcgrad.nn`.

Parameter counts are the published ones. Weights are drawn, not loaded. Images are channels-last.
"""

from __future__ import annotations

from .adversarial import cyclegan_discriminator as cyclegan_discriminator
from .adversarial import cyclegan_generator as cyclegan_generator
from .adversarial import dcgan_discriminator as dcgan_discriminator
from .adversarial import dcgan_generator as dcgan_generator
from .adversarial import patch_discriminator as patch_discriminator
from .adversarial import unet as unet
from .classic import alexnet as alexnet
from .classic import lenet5 as lenet5
from .classic import vgg16 as vgg16
from .embedding import embed_digits as embed_digits
from .embedding import embed_faces as embed_faces
from .embedding import siamese as siamese
from .joining import densenet121 as densenet121
from .joining import googlenet as googlenet
from .mobile import mobilenet as mobilenet
from .mobile import shufflenet as shufflenet
from .mobile import squeezenet as squeezenet
from .resnet import resnet18 as resnet18
from .resnet import resnet34 as resnet34
from .resnet import resnet50 as resnet50
from .resnet import resnet101 as resnet101
from .resnet import resnet152 as resnet152
from .sequences import char_lstm as char_lstm
from .sequences import seq2seq as seq2seq
from .transformer import gpt as gpt
from .transformer import vit as vit
from .variational import vae as vae
from .variational import vae_decoder as vae_decoder
