"""The Brain: the statechart as data, the machine built from it, its model checker and its pictures; approval, risk, allocation and emergency."""
