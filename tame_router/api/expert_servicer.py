"""`ExpertService`: tell who can answer."""

from bisect import bisect_right

from tame_router.admission.desk import Desk
from tame_router.api.grpc_edge import Context, caller
from tame_router.api.grpc_response import write_expert
from tame_router.errors import InvalidRequestError
from tame_router.v1 import expert_service_pb2, expert_service_pb2_grpc

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000


class ExpertServicer(expert_service_pb2_grpc.ExpertServiceServicer):
    """Serves `tame_router.v1.ExpertService`.

    Args:
        desk: Knows which experts exist for a caller.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ListExperts(
        self, request: expert_service_pb2.ListExpertsRequest, context: Context
    ) -> expert_service_pb2.ListExpertsResponse:
        """Give a page of experts; the token is the last name given, so pages survive changes."""
        catalog = self._desk.catalog(caller())
        if not 0 <= request.page_size <= MAX_PAGE_SIZE:
            raise InvalidRequestError(
                f"page_size is {request.page_size}; expected 0 to {MAX_PAGE_SIZE}",
                field="page_size",
            )
        names = catalog.names
        begin = bisect_right(names, request.page_token) if request.page_token else 0
        page = names[begin : begin + (request.page_size or DEFAULT_PAGE_SIZE)]
        more = begin + len(page) < len(names)
        return expert_service_pb2.ListExpertsResponse(
            experts=[write_expert(catalog.expert(name)) for name in page],
            next_page_token=page[-1] if more else "",
        )

    async def GetExpert(
        self, request: expert_service_pb2.GetExpertRequest, context: Context
    ) -> expert_service_pb2.GetExpertResponse:
        """Give one expert."""
        catalog = self._desk.catalog(caller())
        if not request.name:
            raise InvalidRequestError("name is empty; ListExperts tells the names", field="name")
        return expert_service_pb2.GetExpertResponse(
            expert=write_expert(catalog.expert(request.name))
        )
