"""PDM-Closed: IDM policies are simulated and scored by the benchmark's terms, the best driven."""
