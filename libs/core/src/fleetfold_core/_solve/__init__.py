"""How the solver finds a plan, and what it says where there is none."""
