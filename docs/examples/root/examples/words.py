"""Counts words."""

import collections
import re


def count(text, most=3):
    """The most frequent words, and how often each occurs."""
    words = re.findall(r'\w+', text.lower())
    return [list(pair) for pair in collections.Counter(words).most_common(most)]
