"""Words without behaviour: dtypes, avals, jaxprs, their printing and checking."""
