"""Which module each name of `funcgrad.numpy` is from, of those that are loaded late."""

from __future__ import annotations

families = {
    "calculus": """
        diff ediff1d gradient trapezoid
    """,
    "files": """
        array_repr array_str fromfile fromiter fromstring get_printoptions iterable load
        printoptions save savez set_printoptions
    """,
    "index_tricks": """
        c_ index_exp mgrid ogrid r_ s_
    """,
    "mapping": """
        apply_along_axis apply_over_axes vectorize
    """,
    "nan_reductions": """
        nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmin nanprod nanstd nansum
        nanvar
    """,
    "padding": """
        pad
    """,
    "polynomials": """
        poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots
    """,
    "quantiles": """
        median nanmedian nanpercentile nanquantile percentile quantile
    """,
    "setops": """
        intersect1d setdiff1d setxor1d union1d unique unique_all unique_counts unique_inverse
        unique_values
    """,
    "statistics": """
        corrcoef cov histogram histogram2d histogram_bin_edges histogramdd
    """,
    "windows": """
        bartlett blackman hamming hanning i0 kaiser
    """,
}
homes = {name: family for family, names in families.items() for name in names.split()}
