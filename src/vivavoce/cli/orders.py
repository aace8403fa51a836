"""The sample's order service: a real HTTP server on this machine, for the sample assistant's tool to call."""

from aiohttp import web

ORDERS = {"A-1001": {"order_number": "A-1001", "status": "shipped", "eta": "Friday"}}


async def serve() -> tuple[web.AppRunner, str]:
    """Serve ``GET /orders/{number}`` on a free port; returns its address."""

    async def order(request: web.Request) -> web.Response:
        found = ORDERS.get(request.match_info["number"])
        return web.json_response(found or {"error": "unknown order"}, status=200 if found else 404)

    service = web.Application()
    service.router.add_get("/orders/{number}", order)
    runner = web.AppRunner(service)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"
