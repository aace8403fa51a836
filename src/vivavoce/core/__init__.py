"""The language of the house: frozen data and pure rules, standard library only."""
