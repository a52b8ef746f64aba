"""The official clients of model providers in Python: PyPI's `openai` and `anthropic`, unmodified.

They read streams with code of their own, other than npm's. Calls and answers are those of client.mjs
beside this, less `events` and `raw`; a call begins when the one before has ended.
"""

import json
import socket
import sys

import anthropic
import openai

# Names that end in .example are this machine, as /etc/hosts would say it.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **named: resolve(
    "127.0.0.1" if str(host).endswith(".example") else host, *rest, **named
)


def openai_client(call):
    return openai.OpenAI(base_url=call["base"] + "/v1", api_key=call["token"], max_retries=0)


def whole_chat(call):
    return openai_client(call).chat.completions.create(**call["request"])


def chat(call):
    with openai_client(call).chat.completions.stream(**call["request"]) as stream:
        return stream.get_final_completion()


def responses(call):
    with openai_client(call).responses.stream(**call["request"]) as stream:
        return stream.get_final_response()


def messages(call):
    client = anthropic.Anthropic(base_url=call["base"], auth_token=call["token"], max_retries=0)
    with client.messages.stream(**call["request"]) as stream:
        return stream.get_final_message()


CALLS = {
    "openai.chat": whole_chat,
    "openai.chat.stream": chat,
    "openai.responses.stream": responses,
    "anthropic.messages.stream": messages,
}


def told(error):
    return {
        "name": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "message": str(error),
        "body": getattr(error, "body", None),
    }


for line in sys.stdin:
    call = json.loads(line)
    try:
        outcome = {"final": CALLS[call["call"]](call).model_dump(mode="json", warnings=False)}
    except Exception as error:  # whatever it complains of is the test's to judge
        outcome = {"error": told(error)}
    print(json.dumps({"id": call["id"], **outcome}, separators=(",", ":")), flush=True)
