"""Suites of routes with scenarios: what the benchmarks' files say, not how it is run."""
