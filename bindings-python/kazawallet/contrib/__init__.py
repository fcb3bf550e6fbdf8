"""Webhook routes for web frameworks: `kazawallet.contrib.starlette` (Starlette and FastAPI), `.aiohttp`,
`.asgi` (any other ASGI framework), `.flask` and `.django`.

Each has a `WebhookReceiver`. The framework is yours: nothing here is imported before you import it.
"""
