"""Scenes by name: a module each, with one function `components(request, ...)`.

Its parameters are those of the scene in the schema, which also holds their defaults and limits. Randomness is a
function of ``elvis.seed`` alone, so that every chip and every exposure sees the same sky.
"""
