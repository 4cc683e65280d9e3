"""The parts of a synthetic town, from births to closeness; `privwiz.community` puts them together."""

__all__ = ()
