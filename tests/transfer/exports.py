"""Small exports with the shapes of the real ones, twice for each product: an older one, and a newer one of the same account.

`OLD` and `NEW` are values of JSON (or a text). `SAID` is what the space holds after the older one, `LATER` what the newer one
adds: (role, text, time).
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

T0 = datetime(2024, 3, 2, 10, 15, tzinfo=UTC)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def uid(n):
    return str(UUID(int=0x9501F99D9BBB40CBBBB216D79AE00000 + 7_919 * n))


def gpt(n, parent, role, *parts, children=(), kind="text", **more):
    """Return a node of ChatGPT's mapping."""
    content = {"content_type": kind, "parts": list(parts)} if parts else {"content_type": kind}
    content |= more.pop("content", {})
    message = {
        "id": uid(n), "author": {"role": role, "name": None, "metadata": {}}, "create_time": at(n).timestamp(),
        "update_time": None, "content": content, "status": "finished_successfully",
        "weight": 1.0, "metadata": {}, "recipient": "all",
    }  # fmt: skip
    return uid(n), {
        "id": uid(n), "message": message | more, "parent": parent if parent is None else uid(parent),
        "children": [uid(c) for c in children],
    }  # fmt: skip


def gpt_chat(title, nodes, current, n):
    root = {uid(0): {"id": uid(0), "message": None, "parent": None, "children": [next(iter(nodes))]}}
    return {
        "title": title, "create_time": at(0).timestamp(), "update_time": at(90).timestamp(), "mapping": root | nodes,
        "moderation_results": [], "current_node": uid(current), "conversation_id": uid(n), "id": uid(n), "is_archived": False,
    }  # fmt: skip


def chatgpt(newer):
    hidden = {"is_visually_hidden_from_conversation": True}
    cite = 'Rain. \ue200cite\ue202turn0search1\ue202turn0news2\ue201 See \ue200entity\ue202["city","Porto"]\ue201.'
    nodes = dict([
        gpt(1, 0, "system", "", children=[2], metadata=hidden),
        gpt(2, 1, "user", children=[3], kind="user_editable_context", metadata=hidden, create_time=None,
            content={"user_profile": "I am a nurse.", "user_instructions": "Be brief."}),
        gpt(3, 2, "user", "Weather in Porto?", {"content_type": "image_asset_pointer", "asset_pointer": "x"}, children=[4, 5],
            kind="multimodal_text"),
        gpt(4, 3, "assistant", "I live in Oslo, a draft that was regenerated.", children=[]),
        gpt(5, 3, "assistant", kind="code", content={"language": "unknown", "text": "search('x')"}, recipient="web",
            children=[6]),
        gpt(6, 5, "tool", "I live in Rome, says a page.", children=[7]),
        gpt(7, 6, "assistant", kind="thoughts", content={"thoughts": [{"content": "hm"}]}, children=[8]),
        gpt(8, 7, "assistant", cite, children=[9]),
        gpt(9, 8, "user", {"content_type": "audio_transcription", "text": "Thanks, spoken.", "direction": "in"}, children=[10],
            kind="multimodal_text", create_time=None),
        gpt(10, 9, "assistant", "User likes rain.", recipient="bio", children=[11] if newer else []),
        *([gpt(11, 10, "user", "And tomorrow?")] if newer else []),
    ])  # fmt: skip
    chats = [gpt_chat("Weather", nodes, 11 if newer else 10, 900)]
    if newer:
        chats.append(gpt_chat("New", dict([gpt(50, 0, "user", "Thanks, spoken.")]), 50, 901))
    return chats


def claude_message(n, parent, sender, text, content=None, **more):
    return {
        "uuid": uid(n), "text": text, "content": [{"type": "text", "text": text}] if content is None else content,
        "sender": sender,
        "created_at": at(n).isoformat().replace("+00:00", "Z"), "updated_at": at(n).isoformat(),
        "attachments": [], "files": [],
        "parent_message_uuid": uid(parent) if parent else "00000000-0000-4000-8000-000000000000",
    } | more  # fmt: skip


def claude(newer):
    first = {
        "uuid": uid(800), "name": "Cake", "summary": "", "created_at": at(0).isoformat(), "updated_at": at(9).isoformat(),
        "account": {"uuid": uid(1)},
        "chat_messages": [
            claude_message(1, None, "human", "A cake, please?"),
            claude_message(2, 1, "assistant", "A first answer, retried."),
            claude_message(3, 1, "assistant", "ignored", [
                {"type": "thinking", "thinking": "I live in Oslo."}, {"type": "tool_use", "name": "web", "input": {"q": "cake"}},
                {"type": "tool_result", "content": [{"type": "text", "text": "I live in Rome."}]},
                {"type": "text", "text": "Flour and eggs."},
            ]),
            claude_message(4, 3, "human", "And this file?", attachments=[
                {"file_name": "list.txt", "file_size": 9, "file_type": "txt", "extracted_content": "I live in Bonn."},
            ], files=[{"file_name": "photo.png"}]),
            *([claude_message(5, 4, "assistant", "A shopping list.")] if newer else []),
        ],
    }  # fmt: skip
    empty = {"uuid": uid(801), "name": "", "created_at": at(0).isoformat(), "chat_messages": []}
    return [empty, first] if newer else [first]


def webui(n, parent, role, content, children=(), **more):
    return uid(n), {
        "id": uid(n), "parentId": uid(parent) if parent else None, "childrenIds": [uid(c) for c in children], "role": role,
        "content": content, "timestamp": int(at(n).timestamp()),
    } | more  # fmt: skip


def openwebui(newer):
    thought = '<details type="reasoning" done="true" duration="3">\n<summary>Thought</summary>\n> I live in Oslo.\n</details>\n'
    messages = dict([
        webui(1, None, "user", "15 * 17?", [2, 3], files=[
            {"type": "file", "name": "sum.txt", "file": {"filename": "sum.txt", "data": {"content": "I live in Bonn."}}}]),
        webui(2, 1, "assistant", "Another model's answer.", model="b"),
        webui(3, 1, "assistant", thought + "255", [4] if newer else [], model="a"),
        *([webui(4, 3, "user", "Sure?")] if newer else []),
    ])  # fmt: skip
    return [
        {
            "id": uid(700), "user_id": uid(1), "title": "Sum", "created_at": int(at(0).timestamp()),
            "updated_at": int(at(9).timestamp()),
            "chat": {"id": "", "title": "Sum", "models": ["a", "b"], "tags": [], "timestamp": int(at(0).timestamp() * 1000),
                     "history": {"messages": messages, "currentId": uid(4 if newer else 3)}, "messages": list(messages.values())},
            "share_id": None, "archived": False, "pinned": False, "meta": {}, "folder_id": None,
        }
    ]  # fmt: skip


def libre(n, parent, mine, text, **more):
    return {
        "messageId": uid(n), "parentMessageId": uid(parent) if parent else "00000000-0000-0000-0000-000000000000",
        "conversationId": uid(600), "isCreatedByUser": mine, "sender": "User" if mine else "GPT-4", "text": text, "error": False,
        "createdAt": at(n).isoformat().replace("+00:00", "Z"), "updatedAt": at(n).isoformat(), "unfinished": False,
    } | more  # fmt: skip


def librechat(newer, nested):
    parts = [{"type": "think", "think": "I live in Oslo."}, {"type": "text", "text": {"value": "Make one."}},
             {"type": "tool_call", "tool_call": {"name": "x", "output": "I live in Rome."}}]  # fmt: skip
    rows = [
        libre(1, None, True, "How do I use venv?"), libre(2, 1, False, "A first answer."), libre(3, 1, False, "", content=parts),
        *([libre(4, 3, True, "thanks")] if newer else []),
    ]  # fmt: skip
    if nested:
        for row in rows:
            row["children"] = [r for r in rows if r["parentMessageId"] == row["messageId"]]
        rows = rows[:1]
    return {
        "conversationId": uid(600), "endpoint": "openAI", "title": "venv", "exportAt": "13:18:04 GMT-0400 (EDT)",
        "branches": True, "recursive": nested, "options": {"model": "gpt-4"}, ("messagesTree" if nested else "messages"): rows,
    }  # fmt: skip


FLAT = "<p>The <strong>Deye</strong> &amp; others.</p><ul><li>one</li><li>two</li></ul>"


def activity(n, title, html=None, **more):
    row = {"header": "Gemini Apps", "title": title, "time": at(n).isoformat().replace("+00:00", "Z"), "products": ["Gemini Apps"],
           "activityControls": ["Gemini Apps Activity"]}  # fmt: skip
    return row | ({"safeHtmlItem": [{"html": html}]} if html else {}) | more


def gemini(newer):
    rows = [
        activity(1, "Prompted Which inverter?\nFor a flat.", FLAT),
        activity(2, "Prompted Sure? Attached 2 files.", "<p>Yes [cite: 1, 2].</p>"),
        activity(3, "Gave feedback: Good response"), activity(4, "Used an Assistant feature"),
        activity(5, "Searched for cake", header="Search", products=["Search"]),
    ]  # fmt: skip
    rows += [activity(200, "Prompted Sure?", "<p>Again.</p>")] if newer else []
    return rows[::-1]


def card(n, line, answer=""):
    shown = f"{at(n):%b} {at(n).day}, {at(n):%Y}, {at(n).hour % 12 or 12}:{at(n):%M:%S}\u202f{at(n):%p} UTC"
    return (
        '<div class="outer-cell mdl-cell mdl-cell--12-col mdl-shadow--2dp"><div class="mdl-grid">'
        '<div class="header-cell mdl-cell mdl-cell--12-col"><p class="mdl-typography--title">Gemini Apps<br></p></div>'
        f'<div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1">{line}<br>{shown}<br>{answer}</div>'
        '<div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1 mdl-typography--text-right"></div>'
        '<div class="content-cell mdl-cell mdl-cell--12-col mdl-typography--caption"><b>Products:</b><br>&emsp;Gemini Apps<br>'
        "</div></div></div>"
    )


def gemini_html(newer):
    cards = [
        card(1, "Prompted&nbsp;Which inverter?<br>For a flat.", FLAT),
        card(2, "Prompted&nbsp;Sure?", "<p>Yes.</p>"), card(3, "Created Gemini Canvas titled&nbsp;A thing"),
        *([card(200, "Prompted&nbsp;Sure?", "<p>Again.</p>")] if newer else []),
    ]  # fmt: skip
    return f"<html><head><style>p {{}}</style></head><body><div>{''.join(cards[::-1])}</div></body></html>"


def vercel(newer):
    def message(n, role, *parts):
        return {
            "id": f"msg-{n}",
            "role": role,
            "parts": list(parts),
            "createdAt": at(n).isoformat().replace("+00:00", "Z"),
        }

    def text(words):
        return {"type": "text", "text": words, "state": "done"}

    first = [
        message(0, "user", text("Hi")),
        message(1, "assistant", {"type": "step-start"}, {"type": "reasoning", "text": "I live in Oslo."},
                {"type": "tool-weather", "toolCallId": "c", "state": "output-available", "input": {},
                 "output": "I live in Rome."}, text("Hello!")),
        *([message(2, "user", text("How are you?"))] if newer else []),
    ]  # fmt: skip
    second = [message(0, "user", text("Hi")), message(1, "assistant", text("Hello again!"))]
    chats = [{"id": "1", "title": "a", "messages": first}, {"id": "2", "title": "b", "messages": second}]
    return chats[::-1] if newer else chats


def anonymous(newer):
    """Chats without ids, of which two begin alike, with ids that count within a chat."""

    def chat(*texts):
        roles = ("user", "assistant")
        return {"messages": [{"id": i, "role": roles[i % 2], "content": t} for i, t in enumerate(texts)]}

    a, b = ["Hi", "Hello!", "My boat leaks", "Patch it"], ["Hi", "Hello!", "A poem", "Roses", "Longer", "Roses are red"]
    twice = [chat("Took my pills", "Well done"), chat("Took my pills", "Well done")]
    if newer:
        return [chat("Another"), chat(*b), *twice, chat(*a, "Thanks")]
    return [chat(*a), chat(*b), *twice]
