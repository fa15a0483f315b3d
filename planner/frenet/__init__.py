"""The Frenet planner: polynomials along and across the route, the cheapest that holds is driven."""
