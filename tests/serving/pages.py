"""Lists in which new items have a share, by the definition, from all items in the order of their scores."""

import math
from fractions import Fraction


def by_definition(order, new, filters):
    """The page that `filters` asks for.

    Of each page the best new items are certain of their places, and all other items compete for the rest.

    Parameters
    ----------
    order : (id, score) of all items that are allowed, best first
    new : the ids of new items
    """
    left, first = list(order), filters.offset % filters.k
    shown = []
    for size in [*([first] if first else []), *[filters.k] * (filters.offset // filters.k + 1)]:
        least = math.ceil(Fraction(str(filters.new_share)) * size)
        certain = {item for item, _ in [row for row in left if row[0] in new][:least]}
        others = [item for item, _ in left if item not in certain][: size - len(certain)]
        on_it = certain.union(others)
        shown, left = [row for row in left if row[0] in on_it], [row for row in left if row[0] not in on_it]
    return shown
