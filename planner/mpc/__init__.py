"""The MPC: one symbolic problem, from which the fast solver and its references are generated."""
