"""Programs written for JAX are run by tests as processes, never imported."""

collect_ignore_glob = ["programs/*"]
