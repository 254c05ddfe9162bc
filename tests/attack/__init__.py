"""An attack that anybody can repeat: ``make attack``, or ``python -m tests.attack --minutes 5 --seed 7``."""
