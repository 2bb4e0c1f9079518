#!/usr/bin/env python3
"""Records what transformers' apply_chat_template renders, in tests/data/chat-templates/:

  published.json   published templates with conversations: plain, system, tool calls and results, documents, reasoning
  language.json    small templates, one for each rule of the language
  chat.json        continue_final_message, generation blocks, what the arguments do to messages

A rendering is recorded as its text, or, for most of the published templates, as its length and FNV-1a digest. One that
raises is recorded with the message. The time that templates see is fixed.

Usage: pip install transformers==5.23 jinja2==3.1.6
       python3 tests/reference/make_chat_templates.py TEMPLATES_DIRECTORY tests/data/chat-templates
TEMPLATES_DIRECTORY holds the *.jinja files; those of tests/data/chat-templates itself are enough.
"""
import datetime
import json
import os
import sys

import transformers.utils.chat_template_utils as chat_template_utils
from chat_language import CHATS, SNIPPETS, VARIABLES

NOW = datetime.datetime(2026, 3, 7, 9, 5, 3)


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = FixedTime

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a \"city\" <now> & then.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": ["integer", "null"], "default": 3},
                "where": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["city"],
        },
        "return": {"type": "number", "description": "Degrees"},
    },
}
SEARCH = {
    "type": "function",
    "function": {"name": "search", "description": "Searches.\nTwo lines.", "parameters": {"type": "object", "properties": {}}},
}
DOCUMENTS = [
    {"title": "Caf\u00e9", "text": "Coffee is served.\n\nAt noon."},
    {"title": "\u4e2d\u6587", "text": "\u6587\u672c", "doc_id": "7"},
]


def call(name, arguments, id="abcdef123"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


SYSTEM = {"role": "system", "content": "You are terse.  "}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": "{\"temperature\": 21.5}"}
CONVERSATIONS = {
    "plain": dict(messages=[user("Hello there")], add_generation_prompt=True),
    "no-prompt": dict(messages=[user("  spaces around  "), assistant(" and here \n")]),
    "system": dict(messages=[SYSTEM, user("Hi")], add_generation_prompt=True),
    "turns": dict(messages=[SYSTEM, user("One"), assistant("Two"), user("Three"), assistant("Four"), user("Five\n")],
                  add_generation_prompt=True),
    "unicode": dict(messages=[user("na\u00efve \u4f60\u597d \U0001f468\u200d\U0001f469 e\u0301 \u0130 <b>&\"'</b>\u00a0"),
                              assistant("\u05e9\u05dc\u05d5\u05dd\ttab\\n"), user("{{ 1 }} {% if %}")],
                    add_generation_prompt=True),
    "tools": dict(messages=[user("Weather?")], tools=[WEATHER, SEARCH], add_generation_prompt=True),
    "tools-system": dict(messages=[SYSTEM, user("Weather?")], tools=[WEATHER], add_generation_prompt=True),
    "tool-call": dict(messages=[user("Weather in Paris?"),
                                {"role": "assistant", "content": "", "tool_calls": [
                                    call("get_weather", {"city": "Paris", "days": 2, "tags": ["a", "b"], "where": {"lat": 1.5},
                                                         "deep": [{"x": None, "y": True}], "t": "l1\nl2 \u00e9 \"q\""})]},
                                RESULT, assistant("21.5 degrees."), user("Thanks")],
                      tools=[WEATHER, SEARCH], add_generation_prompt=True),
    "tool-call-null": dict(messages=[user("Weather?"), {"role": "assistant", "content": None,
                                                        "tool_calls": [call("get_weather", {"city": "Rome"})]}, RESULT],
                           tools=[WEATHER], add_generation_prompt=True),
    "tool-call-text": dict(messages=[user("Weather?"), assistant("I look.", tool_calls=[call("get_weather", "{\"city\": \"Rome\"}")]),
                                     RESULT, assistant("Warm.")], tools=[WEATHER]),
    "tool-calls": dict(messages=[user("Both"), assistant("", tool_calls=[call("get_weather", {"city": "A"}, "aaaaaaaa1"),
                                                                         call("search", {}, "bbbbbbbb2")]),
                                 RESULT, {"role": "tool", "name": "search", "tool_call_id": "bbbbbbbb2", "content": "none"},
                                 assistant("Done."), user("Again"), assistant("", tool_calls=[call("search", {"q": 1})])],
                       tools=[WEATHER, SEARCH], add_generation_prompt=False),
    "documents": dict(messages=[SYSTEM, user("What is served?")], documents=DOCUMENTS, add_generation_prompt=True),
    "reasoning": dict(messages=[user("Think"), assistant("Yes.", reasoning_content="Hmm,\nwell"), user("Again"),
                                assistant("No.", thinking="So it is")]),
    "think-tags": dict(messages=[user("Think"), assistant("<think>\nloud\n</think>\n\nAnswer"), user("And?")],
                       add_generation_prompt=True),
    "thinking-off": dict(messages=[user("Quick")], add_generation_prompt=True,
                         kwargs={"enable_thinking": False, "thinking": False, "reasoning_effort": "high", "builtin_tools": ["browser"]}),
    "thinking-on": dict(messages=[SYSTEM, user("Slow")], add_generation_prompt=True, kwargs={"enable_thinking": True, "thinking": True}),
    "parts": dict(messages=[{"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "image"},
                                                         {"type": "text", "text": "this?"}]},
                            {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]}], add_generation_prompt=True),
    "developer": dict(messages=[{"role": "developer", "content": "Be brief."}, user("Hi"), assistant("Yes")]),
    "odd-role": dict(messages=[{"role": "narrator", "content": "Once"}, user("Hi")]),
    "two-users": dict(messages=[user("Hi"), user("Again")], add_generation_prompt=True),
    "assistant-first": dict(messages=[assistant("Hello"), user("Hi")]),
    "no-role": dict(messages=[{"content": "nobody"}]),
    "no-content": dict(messages=[{"role": "user"}, {"role": "assistant"}]),
}
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return f"{h:016x}"


def apply(template, case):
    kwargs = dict(case.get("kwargs", {}))
    messages = [{k: v for k, v in m.items() if v is not None} for m in case["messages"]]
    try:
        rendered, generations = chat_template_utils.render_jinja_template(
            conversations=[messages], tools=case.get("tools"), documents=case.get("documents"), chat_template=template,
            add_generation_prompt=case.get("add_generation_prompt", False),
            continue_final_message=case.get("continue_final_message", False),
            return_assistant_tokens_mask=case.get("return_assistant_tokens_mask", False),
            **{**SPECIAL_TOKENS, **kwargs})
    except Exception as e:
        return {"error": str(e), "raised": type(e).__module__.startswith("jinja2") and type(e).__name__ == "TemplateError"}
    out = {"text": rendered[0]}
    if case.get("return_assistant_tokens_mask"):
        out["generations"] = generations[0]
    return out


def published(directory, full):
    rows = []
    for name in sorted(f for f in os.listdir(directory) if f.endswith(".jinja")):
        with open(os.path.join(directory, name), encoding="utf-8") as f:
            template = f.read()
        for key, case in CONVERSATIONS.items():
            out = apply(template, case)
            if "text" in out and not full:
                out = {"bytes": len(out["text"].encode()), "digest": fnv1a(out["text"])}
            if "error" in out and not out.pop("raised"):
                out["error"] = ""
            rows.append({"template": name, "conversation": key, **out})
    return {"special_tokens": SPECIAL_TOKENS, "conversations": CONVERSATIONS, "cases": rows}


def language():
    rows = []
    for template in SNIPPETS:
        try:
            text = chat_template_utils._cached_compile_jinja_template(template).render(**VARIABLES)
            text.encode()
            if " at 0x" in text:
                raise ValueError("prints an address")  # which is an error here
            rows.append({"template": template, "text": text})
        except Exception as e:
            rows.append({"template": template, "error": str(e)})
    return {"variables": VARIABLES, "cases": rows}


def chats():
    rows = []
    for case in CHATS:
        out = apply(case["template"], case)
        out.pop("raised", None)
        rows.append({**case, **out})
    return {"special_tokens": SPECIAL_TOKENS, "cases": rows}


def write(path, value):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        cases = value.pop("cases")
        head = json.dumps(value, ensure_ascii=False)[:-1]
        f.write(head + (", " if len(head) > 1 else "") + '"cases": [\n')
        f.write(",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]}\n")


def main(directory, out, full=False):
    os.makedirs(out, exist_ok=True)
    write(os.path.join(out, "published.json"), published(directory, full))
    write(os.path.join(out, "language.json"), language())
    write(os.path.join(out, "chat.json"), chats())


main(sys.argv[1], sys.argv[2], "--full" in sys.argv)
