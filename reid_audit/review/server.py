"""The page and what it asks for: on the loopback address, for whoever holds the link, once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TYPE_CHECKING, Any

from reid_audit.records import Answer, EngineError, InputError, RenderError
from reid_audit.report.page import render_page
from reid_audit.review.pictures import AZIMUTHS_DEG, SIDES, Pictures
from reid_audit.review.progress import Progress, measure_agreement

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
"""Never another address: whoever reaches the page sees faces."""
COOKIE = "reid_audit_review"
PROOF = "x-reid-audit"
"""A header that a page of another site cannot send without being asked for leave, which is never given."""
_MOST_NOTE = 2000
_KEYS = {"f": Answer.FACE, "r": Answer.REMOVED, "n": Answer.NOT_HEAD, "u": Answer.UNSURE}


def _mend() -> InputError:
    return InputError("review: needs Starlette and uvicorn; pip install 'reid-audit[review]'")


class _Door:
    """Lets in who holds the link, once, and afterwards the browser that came through it."""

    def __init__(self) -> None:
        self.token, self._session, self._used = secrets.token_urlsafe(32), secrets.token_urlsafe(32), False

    def open(self, token: str) -> str | None:
        """Return the session of the right token, the first time; None otherwise."""
        if self._used or not secrets.compare_digest(token.encode(), self.token.encode()):
            return None
        self._used = True
        return self._session

    def knows(self, session: str) -> bool:
        """Whether a cookie is the one that was given."""
        return self._used and secrets.compare_digest(session.encode(), self._session.encode())


def make_app(
    progress: Progress, pictures: Pictures, *, close: Callable[[], None] = lambda: None
) -> tuple[Starlette, str]:
    """Make the application and the token of its link.

    Parameters
    ----------
    progress : Progress
    pictures : Pictures
        Asked from one thread of their own.
    close : callable, optional
        Called when the reader is done.

    Raises
    ------
    InputError
        Where Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
        from starlette.routing import Route
    except ImportError as error:
        raise _mend() from error
    door, painter = _Door(), ThreadPoolExecutor(1)
    script = resources.files("reid_audit").joinpath("templates/review.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    }

    def guard(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not door.knows(request.cookies.get(COOKIE, "")):
                return PlainTextResponse("Refused: open the link that the command printed.", 403, headers)
            if request.method == "POST" and PROOF not in request.headers:
                return PlainTextResponse("Refused: not asked for by the page.", 403, headers)
            try:
                response = await answer(request)
            except (InputError, RenderError, EngineError) as error:
                response = PlainTextResponse(str(error), 409)
            except (KeyError, ValueError, IndexError, TypeError):
                response = PlainTextResponse("there is nothing of that name", 404)
            response.headers.update(headers)
            return response

        return guarded

    async def page(request: Request) -> Response:
        token = request.query_params.get("token")
        if token is not None:
            session = door.open(token)
            if session is None:
                return PlainTextResponse(
                    "Refused: this link is wrong or was used. Start the command anew.", 403, headers
                )
            entered = RedirectResponse("/", 303, headers)
            entered.set_cookie(COOKIE, session, httponly=True, samesite="strict")
            return entered
        return await guard(show)(request)

    async def show(request: Request) -> Response:
        from markupsafe import Markup

        return HTMLResponse(render_page("review.html", script=Markup(script), keys=_KEYS, reader=progress.reader))

    async def state(request: Request) -> Response:
        return JSONResponse(_tell(progress))

    async def picture(request: Request) -> Response:
        number, side, angle = (request.path_params[name] for name in ("number", "side", "angle"))
        if side not in SIDES or int(angle) not in AZIMUTHS_DEG:
            raise KeyError(side)
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(painter, pictures.draw, _number(number, progress), side, int(angle))
        return Response(content, media_type="image/png")

    async def decide(request: Request) -> Response:
        asked = await request.json()
        number = _number(asked["case"], progress)
        note = str(asked.get("note", ""))[:_MOST_NOTE]
        progress.answer(number, Answer(asked["answer"]), note, pictures.shown(number))
        return JSONResponse(_tell(progress))

    async def undo(request: Request) -> Response:
        progress.undo()
        return JSONResponse(_tell(progress))

    async def done(request: Request) -> Response:
        close()
        return JSONResponse(_tell(progress))

    routes = [
        Route("/", page),
        Route("/state", guard(state)),
        Route("/picture/{number}/{side}/{angle}", guard(picture)),
        *(Route(f"/{ask.__name__}", guard(ask), methods=["POST"]) for ask in (decide, undo, done)),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])  # no name that leads here from outside
    return Starlette(routes=routes, middleware=[hosts]), door.token


def _number(text: object, progress: Progress) -> int:
    number = int(str(text))
    if not 0 <= number < len(progress.cases):
        raise IndexError(number)
    return number


def _tell(progress: Progress) -> dict[str, Any]:
    """Return what the page shows: the cases and this reader's answers; agreement once every case is answered."""
    answers = progress.mine()
    complete = len(answers) == len(progress.cases)
    return {
        "angles": AZIMUTHS_DEG,
        "file": progress.path.name,
        "cases": [
            {
                "name": case.name,
                "reasons": case.reasons,
                "before": case.before is not None,
                "answer": answers[number].answer.value if number in answers else "",
                "note": answers[number].note if number in answers else "",
            }
            for number, case in enumerate(progress.cases)
        ],
        "agreement": [
            f"{first} and {second}: {count} scans, kappa {'not defined' if kappa != kappa else format(kappa, '.2f')}"
            for first, second, count, kappa in measure_agreement(progress.review)
        ]
        if complete
        else [],
    }


def serve(progress: Progress, pictures: Pictures, *, port: int = 0, say: Callable[[str], None]) -> None:
    """Serve the page on the loopback address until the reader is done or the command is stopped.

    Parameters
    ----------
    progress : Progress
    pictures : Pictures
    port : int
        0 = any that is free.
    say : callable
        Given the link, once the page can be opened.

    Raises
    ------
    InputError
        Where Starlette or uvicorn is not installed, or the port is taken.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise _mend() from error
    app, token = make_app(progress, pictures, close=lambda: setattr(server, "should_exit", True))
    server = uvicorn.Server(
        uvicorn.Config(app, host=HOST, port=port, log_level="critical", access_log=False, lifespan="off", ws="none")
    )

    async def listen() -> bool:
        try:
            await server.serve()
        except SystemExit:  # uvicorn's way to say that it cannot listen
            return False
        return True

    async def run() -> bool:
        task = asyncio.create_task(listen())
        while not server.started and not task.done():
            await asyncio.sleep(0.02)
        if server.started:
            address = server.servers[0].sockets[0].getsockname()
            say(f"http://{HOST}:{address[1]}/?token={token}")
        return await task

    if not asyncio.run(run()):
        raise InputError(f"--port {port}: cannot be listened on; leave it out, and a free one is taken")
