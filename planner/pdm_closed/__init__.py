"""PDM-Closed: IDM policies are simulated, scored by the benchmark's own terms, and the best driven."""
