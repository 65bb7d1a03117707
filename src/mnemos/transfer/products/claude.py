"""The account export of claude.ai (Settings, Privacy, Export data), as of 2026: conversations, projects and memories.

A conversation is a list of messages with `parent_message_uuid`; what was said is the branch that ends in
`current_leaf_message_uuid`, or else in the last message. The text of an attachment (`extracted_content`) and the files and
instructions of a project are documents; `memories.json` is what Claude noted, and the assistant's. Left out, and told, are
reasoning, calls and answers of tools, and branches that were left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.parts import Parts, read_parts
from mnemos.transfer.roles import ASSISTANT, DOCUMENT, known_role
from mnemos.transfer.sections import sections
from mnemos.transfer.source import Conversation, Document, Item, Message, Read, has, is_list_of
from mnemos.transfer.times import time_of
from mnemos.transfer.trees import branch, left_behind, linked

SOURCE = "claude"


def is_claude(value: Any) -> bool:
    """Tell whether a JSON value is conversations.json of a Claude account export."""
    return is_list_of(value, "chat_messages")


def is_claude_projects(value: Any) -> bool:
    """Tell whether a JSON value is a project of a Claude account export, or a list of them."""
    return is_list_of(_listed(value), "uuid", "prompt_template") or is_list_of(_listed(value), "uuid", "docs")


def is_claude_memories(value: Any) -> bool:
    """Tell whether a JSON value is memories.json of a Claude account export."""
    return is_list_of(_listed(value), "conversations_memory")


def claude(value: Any, where: str) -> Iterator[Read]:
    """Yield every conversation."""
    for number, conversation in enumerate(value):
        place = f"{where}[{number}]"
        messages = conversation.get("chat_messages") if isinstance(conversation, Mapping) else None
        if not isinstance(messages, list):
            yield Item(place, None, "no list 'chat_messages'")
            continue
        names = [_name(m, i) for i, m in enumerate(messages)]
        nodes = linked((n, m.get("parent_message_uuid")) for n, m in zip(names, messages, strict=True) if n)
        has_tree = any(node["parent"] for node in nodes.values())
        tree = branch(nodes, conversation.get("current_leaf_message_uuid"), place) if has_tree else None
        left = set(tree.left) if tree else set()
        title = str(conversation.get("name") or "")
        items = [
            left_behind(i) if name in left else i
            for n, (name, message) in enumerate(zip(names, messages, strict=True))
            for i in _items(message, f"{place}.chat_messages[{n}]", title)
        ]
        own = time_of({k: conversation.get(k) for k in ("created_at", "updated_at")})
        name = conversation.get("uuid")
        yield Conversation(place, SOURCE, str(name) if name else None, items, own)


def _name(message: Any, number: int) -> str:
    if not isinstance(message, Mapping):
        return ""
    return str(message.get("uuid") or f"message {number}")


def _items(message: Any, where: str, title: str) -> Iterator[Item]:
    if not isinstance(message, Mapping) or not ("text" in message or "content" in message):
        yield Item(where, None, "not a message with a text")
        return
    parts, problem = Parts(), ""
    for key in ("content", "text"):  # newer exports have both; "text" alone has all but the tools' part
        if not parts.text.strip() and message.get(key) is not None:
            read = read_parts(message[key])
            problem = problem or (f"{key}: {read.problem}" if read.problem else "")
            parts = Parts(read.text, left_out=parts.left_out + read.left_out)
    if problem:
        yield Item(where, None, problem)
    common: Message = {
        "at": time_of({k: message.get(k) for k in ("created_at", "updated_at")}), "kind": "turn", "source": SOURCE,
        "metadata": {"title": title} if title else {},
    }  # fmt: skip
    name = message.get("uuid")
    if parts.text.strip():
        role = known_role(message.get("sender"))
        said = {**common, "id": str(name) if name else None, "content": parts.text, "role": role or DOCUMENT}
        yield Item(where, said, remark=parts.remark)
    elif not problem:
        yield Item(where, None, left_out=parts.remark or "no text")
    yield from _attached(message, where, str(name) if name else "", common)


def _attached(message: Mapping[str, Any], where: str, name: str, common: Message) -> Iterator[Item]:
    attachments = message.get("attachments")
    for n, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        text = attachment.get("extracted_content") if isinstance(attachment, Mapping) else None
        if not isinstance(text, str) or not text.strip():
            yield Item(f"{where}.attachments[{n}]", None, left_out="an attachment without text")
            continue
        file = str(attachment.get("file_name") or "attachment")
        for number, (heading, part) in enumerate(sections(text)):
            metadata = {**common["metadata"], "file": file, **({"heading": heading} if heading else {})}
            yield Item(
                f"{where}.attachments[{n}]#{number + 1}",
                {
                    **common, "id": f"{name}#{n}.{number}" if name else None, "content": part, "role": DOCUMENT,
                    "kind": "attachment", "source": f"claude/{file}"[:1_000], "metadata": metadata,
                },
            )  # fmt: skip
    for n, file in enumerate(files if isinstance(files := message.get("files"), list) else []):
        shown = file.get("file_name") if isinstance(file, Mapping) else file
        yield Item(f"{where}.files[{n}]", None, left_out=f"a file that the export does not hold ({shown!r:.80})")


def claude_projects(value: Any, where: str) -> Iterator[Read]:
    """Yield the documents and the instructions of every project."""
    for number, project in enumerate(_listed(value)):
        place = f"{where}[{number}]"
        if not has(project, "uuid"):
            yield Item(place, None, "not a project with a 'uuid'")
            continue
        title, at = str(project.get("name") or project["uuid"]), time_of(project)
        texts = [("instructions", project["uuid"], project.get("prompt_template"), at)]
        texts.append(("description", f"{project['uuid']} description", project.get("description"), at))
        docs = project.get("docs")
        for i, doc in enumerate(docs if isinstance(docs, list) else []):
            if not has(doc, "content"):
                yield Item(f"{place}.docs[{i}]", None, "a file without 'content'")
                continue
            file = str(doc.get("filename") or doc.get("file_name") or f"file {i + 1}")
            texts.append(
                (file, str(doc.get("uuid") or f"{project['uuid']} {file}"), doc["content"], time_of(doc) or at)
            )
        for file, name, text, when in texts:
            if isinstance(text, str) and text.strip():
                yield document(f"claude/{title}/{file}", f"claude {name}", text, when, DOCUMENT, {"project": title})


def claude_memories(value: Any, where: str) -> Iterator[Read]:
    """Yield what Claude noted about its user, and in each project."""
    for entry in _listed(value):
        if not isinstance(entry, Mapping):
            yield Item(where, None, "not a memory of Claude")
            continue
        account, at = str(entry.get("account_uuid") or ""), time_of(entry)
        texts: dict[str, Any] = {"memory": entry.get("conversations_memory")}
        projects = entry.get("project_memories")
        texts |= {f"memory of {k}": v for k, v in projects.items()} if isinstance(projects, Mapping) else {}
        for name, text in texts.items():
            if isinstance(text, str) and text.strip():
                yield document(f"claude/{name}", f"claude {account} {name}", text, at, ASSISTANT, {})


def document(name: str, file: str, text: str, at: Any, role: str, metadata: Mapping[str, Any]) -> Document:
    """Return a text as a document in sections."""
    items = []
    for number, (heading, part) in enumerate(sections(text)):
        more = {**metadata, "heading": heading} if heading else dict(metadata)
        items.append(
            Item(f"{name}#{number + 1}", {"content": part, "kind": "note", "role": role, "at": at, "metadata": more})
        )
    return Document(name[:1_000], items, file)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, Mapping) else value
