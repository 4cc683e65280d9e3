"""The wizard page: what an end user sees of privwiz. Served by the same application as the REST service."""

from privwiz_api.page import flow as _flow
from privwiz_api.page import results as _results
from privwiz_api.page.visits import page

__all__ = ["page"]

assert (_flow, _results)
