"""The wizard page: what an end user sees of privwiz. Served by the same application as the REST service."""

from privwiz_api.page import flow as flow
from privwiz_api.page import results as results
from privwiz_api.page.visits import know_visitor, page

__all__ = ["know_visitor", "page"]
