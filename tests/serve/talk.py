"""A client of the MCP server for tests."""

import json

import pytest

from mnemos.errors import MnemosError


class Talk:
    """A client whose calls return the data, or raise the error's text."""

    def __init__(self, client):
        self.client = client

    async def __call__(self, tool, **arguments):
        result = await self.client.call_tool(tool, arguments)
        text = "".join(part.text for part in result.content)
        if result.is_error:
            raise MnemosError(text)
        return text if tool == "context" else result.structured_content

    async def refused(self, message, tool, **arguments):
        with pytest.raises(MnemosError, match=message) as caught:
            await self(tool, **arguments)
        assert "Traceback" not in str(caught.value)

    async def read(self, uri):
        [content] = (await self.client.read_resource(uri)).contents
        assert content.mime_type == "application/json"
        return json.loads(content.text)
