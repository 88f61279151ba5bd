"""Recommendations from a published version: one scoring function for notebooks, command line, batch and API."""

from .lists import List, Scored, Source
from .recommender import Recommender
from .request import Event, Request

__all__ = ["Event", "List", "Recommender", "Request", "Scored", "Source"]
