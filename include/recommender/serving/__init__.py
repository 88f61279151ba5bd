"""Recommendations from a published version: one scoring function for notebooks, command line, batch and API."""

from .lists import List, Scored, Source
from .recommender import Recommender
from .request import Event, Filters, Request

__all__ = ["Event", "Filters", "List", "Recommender", "Request", "Scored", "Source"]
