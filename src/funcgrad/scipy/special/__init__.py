"""Special functions under the names of `jax.scipy.special`, with derivatives of every argument.

In: arrays and numbers, promoted to one float dtype. Out: arrays of that dtype. Complex numbers are
refused, with ValueError, where nothing else is said.
"""

from __future__ import annotations

from .entropies import boxcox as boxcox
from .entropies import boxcox1p as boxcox1p
from .entropies import entr as entr
from .entropies import expit as expit
from .entropies import kl_div as kl_div
from .entropies import log_softmax as log_softmax
from .entropies import logit as logit
from .entropies import logsumexp as logsumexp
from .entropies import rel_entr as rel_entr
from .entropies import softmax as softmax
from .entropies import xlog1py as xlog1py
from .entropies import xlogy as xlogy
from .gammas import bernoulli as bernoulli
from .gammas import beta as beta
from .gammas import betainc as betainc
from .gammas import betaln as betaln
from .gammas import comb as comb
from .gammas import digamma as digamma
from .gammas import factorial as factorial
from .gammas import gamma as gamma
from .gammas import gammainc as gammainc
from .gammas import gammaincc as gammaincc
from .gammas import gammaln as gammaln
from .gammas import gammasgn as gammasgn
from .gammas import loggamma as loggamma
from .gammas import multigammaln as multigammaln
from .gammas import poch as poch
from .gammas import polygamma as polygamma
from .gammas import zeta as zeta
from .integrals import dawsn as dawsn
from .integrals import erf as erf
from .integrals import erfc as erfc
from .integrals import erfcinv as erfcinv
from .integrals import erfcx as erfcx
from .integrals import erfinv as erfinv
from .integrals import exp1 as exp1
from .integrals import expi as expi
from .integrals import expn as expn
from .integrals import fresnel as fresnel
from .integrals import log_ndtr as log_ndtr
from .integrals import ndtr as ndtr
from .integrals import ndtri as ndtri
from .integrals import owens_t as owens_t
from .integrals import sici as sici
from .integrals import spence as spence
from .integrals import wofz as wofz
from .series import bessel_jn as bessel_jn
from .series import hyp1f1 as hyp1f1
from .series import hyp2f1 as hyp2f1
from .series import i0 as i0
from .series import i0e as i0e
from .series import i1 as i1
from .series import i1e as i1e
from .series import sph_harm_y as sph_harm_y
