"""Compare prompts for summaries, titles and descriptions on real topics and themes.

Run from the project root: ``python -m bench.llm_prompts ask SERVER CASES.json OUT.jsonl [TOPICS]
[THEMES]``, then ``python -m bench.llm_prompts measure OUT.jsonl``. SERVER is a GGUF file, which
llama.cpp serves for the run, or the URL of a server of one model. CASES holds ``topics``
(keywords, texts) and ``themes`` (keywords, sentences). Each variant asks once per item, as
``write`` does at first; items are asked in order, each in all variants, so a run that is stopped
early still compares like with like. An item in OUT is not asked again.

Measured: answers that are not the JSON asked for, numbers or names that no shown sentence has
(share of items), the share of an answer's content words that the sentences have, words, and
whether a keyword of the item is in it. OUT holds every answer beside its sentences, to be read.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import httpx

from ftm_core.llm.local_server import LocalServer
from ftm_core.text import lexicons
from ftm_core.text.grounding import SourceVocabulary
from ftm_core.text.stems import stem

# One for each variant, so that llama.cpp keeps the beginning that its prompts share.
SLOTS = 4
# vLLM works on these many at once.
REQUESTS_AT_ONCE = 24
SENTENCES = 5
LONGEST_SENTENCE = 320
THEME_SENTENCES = 8

_RULES = (
    "Use only what the sentences say. Copy numbers and names exactly as they are there, or leave "
    "them out. Do not add causes, comparisons or judgments."
)


@dataclass(frozen=True)
class Variant:
    """One way to ask: system text, user text from an item, the fields of the JSON answer."""

    system: str
    user: Callable[[Mapping[str, Any]], str]
    fields: tuple[str, ...]
    max_tokens: int


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SENTENCE else text[:LONGEST_SENTENCE].rsplit(" ", 1)[0]


def _listed(texts: Sequence[str]) -> str:
    return "\n".join(f"- {_cut(text)}" for text in texts)


def _topic(item: Mapping[str, Any]) -> str:
    return f"Sentences:\n{_listed(item['texts'][:SENTENCES])}"


def _topic_with_keywords(item: Mapping[str, Any]) -> str:
    return f"{_topic(item)}\n\nSubject: {', '.join(item['keywords'][:4])}"


def _theme(item: Mapping[str, Any]) -> str:
    return f"Sentences:\n{_listed(item['sentences'][:THEME_SENTENCES])}"


def _theme_with_keywords(item: Mapping[str, Any]) -> str:
    return f"{_theme(item)}\n\nKeywords: {', '.join(item['keywords'][:6])}"


TOPIC_VARIANTS: dict[str, Variant] = {
    "plain": Variant(
        "You summarize earnings calls. Write one sentence of at most 30 words that says what the "
        f'company reports. {_RULES} Reply with JSON: {{"summary": "..."}}',
        _topic_with_keywords,
        ("summary",),
        96,
    ),
    "short": Variant(
        "These sentences come from one company's earnings call. Find the subject that most of them "
        "share and write one short sentence, of at most 20 words, that says what the company "
        "reports or expects on it. Name the subject in it. Leave out sentences on anything else. "
        f'{_RULES} Reply with JSON: {{"summary": "..."}}',
        _topic_with_keywords,
        ("summary",),
        72,
    ),
    "main point": Variant(
        "These sentences come from one company's earnings call. State the main point that the "
        "company makes on the subject in one sentence of at most 25 words: what happened, what it "
        "does or what it expects, with the figure if the sentences give one for it. Do not list "
        f'the words of the subject. {_RULES} Reply with JSON: {{"summary": "..."}}',
        _topic_with_keywords,
        ("summary",),
        80,
    ),
    "example": Variant(
        "You summarize what a company says in its earnings call, in one sentence of at most 30 "
        f"words. {_RULES}\n\nExample\nSentences:\n- Our tax rate for the quarter was 31.5%, and we "
        "expect about 32% for the year.\n- That's a bit higher because of the mix of earnings by "
        'state.\nAnswer: {"summary": "The tax rate was 31.5% in the quarter and is expected to be '
        'about 32% for the year, higher because of the mix of earnings by state."}\n\nReply with '
        "JSON in the same way.",
        _topic,
        ("summary",),
        96,
    ),
}
THEME_VARIANTS: dict[str, Variant] = {
    "plain": Variant(
        "Several companies said these sentences in their earnings calls. Write a title of two to "
        "six words that names their common subject, and a description of two sentences that says "
        f"what the companies report on it. {_RULES} Name no company. Reply with JSON: "
        '{"title": "...", "description": "..."}',
        _theme_with_keywords,
        ("title", "description"),
        200,
    ),
    "noun phrase": Variant(
        "Several companies said these sentences in their earnings calls. Write a title: a noun "
        "phrase of two to five words for the subject that most of the sentences share, as specific "
        "as they allow, without a company, a number, or a direction such as growth or decline. "
        "Then write a description of two short sentences that says what the companies report on "
        f'it. {_RULES} Name no company. Reply with JSON: {{"title": "...", "description": "..."}}',
        _theme_with_keywords,
        ("title", "description"),
        160,
    ),
    "noun phrase, brief": Variant(
        "Several companies said these sentences in their earnings calls. Write a title: a noun "
        "phrase of two to five words for the subject that most of the sentences share, as specific "
        "as they allow, without a company, a number, or a direction such as growth or decline. "
        "Then write a description of two sentences of at most 20 words each: the first says what "
        "most of the companies report on the subject, the second what some of them add. Give no "
        f"numbers in it. {_RULES} Name no company. Reply with JSON: "
        '{"title": "...", "description": "..."}',
        _theme_with_keywords,
        ("title", "description"),
        120,
    ),
    "example": Variant(
        "Each sentence is from another company's earnings call. Write a title of two to six words "
        "that names the subject they share, as specific as possible, and a description of two "
        f"sentences. {_RULES} Name no company and give no numbers.\n\nExample\nSentences:\n- Our "
        "effective tax rate was 31.5%.\n- We expect a tax rate of about 34% for the year.\nAnswer: "
        '{"title": "Effective tax rate", "description": "Companies report their effective tax '
        'rates. They give the rates that they expect for the year."}\n\nReply with JSON in the '
        "same way.",
        _theme_with_keywords,
        ("title", "description"),
        200,
    ),
}


def _schema(fields: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in fields},
        "required": list(fields),
        "additionalProperties": False,
    }


def ask(http: httpx.Client, url: str, variant: Variant, item: Mapping[str, Any]) -> dict[str, Any]:
    """One answer with its seconds, and its fields where it is the JSON asked for."""
    body = {
        "messages": [
            {"role": "system", "content": variant.system},
            {"role": "user", "content": variant.user(item)},
        ],
        "temperature": 0,
        "seed": 42,
        "max_tokens": variant.max_tokens,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": _schema(variant.fields)},
        },
    }
    began = time.monotonic()
    response = http.post(f"{url}/chat/completions", json=body).raise_for_status().json()
    text = response["choices"][0]["message"]["content"]
    try:
        fields = json.loads(text)
    except ValueError:
        fields = {}
    return {"text": text, "fields": fields, "seconds": time.monotonic() - began}


_WORDS = re.compile(r"[a-z][a-z'-]+")


def measure(row: Mapping[str, Any]) -> dict[str, Any]:
    """The stated measures of one answer, over all its fields together."""
    fields, shown = row["fields"], [_cut(text) for text in row["shown"]]
    title = fields.get("title", "")
    body = fields.get("summary", "") or fields.get("description", "")
    words = _WORDS.findall(f"{title} {body}".lower())
    empty = lexicons.words("function_words")
    content = [stem(word) for word in words if word not in empty and len(word) > 2]
    source = {stem(word) for word in _WORDS.findall(" ".join(shown).lower())}
    named = {stem(part) for word in row["keywords"] for part in word.split()}
    sources = SourceVocabulary(shown)
    return {
        "unsupported": sources.ungrounded(body) + sources.ungrounded(title.lower()),
        "kept": mean(word in source for word in content) if content else 0.0,
        "words": len(words),
        "subject": bool({stem(word) for word in _WORDS.findall((title or body).lower())} & named),
    }


@contextlib.contextmanager
def served(given: str) -> Iterator[tuple[str, int]]:
    """The URL of the server to ask, and how many requests it takes at once."""
    if given.startswith("http"):
        yield given.rstrip("/"), REQUESTS_AT_ONCE
        return
    model = Path(given)
    with LocalServer(model=model, slots=SLOTS, served_as=model.stem) as server:
        yield server.base_url, SLOTS


@dataclass(frozen=True)
class Question:
    """An item in one variant, and what its line says beside the answer."""

    variant: Variant
    item: Mapping[str, Any]
    line: Mapping[str, Any]


def questions(cases: Mapping[str, Any], n_topics: int, n_themes: int) -> list[Question]:
    """Every item in every variant: themes among the topics, so that a stopped run has both."""
    items = [("topic", TOPIC_VARIANTS, item) for item in cases["topics"][:n_topics]]
    themes = [("theme", THEME_VARIANTS, item) for item in cases["themes"][:n_themes]]
    for place, theme in enumerate(themes):
        items.insert(2 * place, theme)
    return [
        Question(
            variant,
            item,
            {
                "kind": kind,
                "variant": name,
                "shown": item["texts"][:SENTENCES] if kind == "topic" else item["sentences"],
                "keywords": item["keywords"][:6],
            },
        )
        for kind, variants, item in items
        for name, variant in variants.items()
    ]


def _asked(line: Mapping[str, Any]) -> tuple[str, str, str]:
    return line["kind"], line["variant"], json.dumps(line["shown"])


def ask_all(given: str, cases_file: Path, out: Path, n_topics: int, n_themes: int) -> None:
    """Ask what ``out`` does not hold yet; each answer is a line of it."""
    cases = json.loads(cases_file.read_text())
    answered = out.read_text().splitlines() if out.exists() else []
    done = {_asked(json.loads(line)) for line in answered}
    missing = [q for q in questions(cases, n_topics, n_themes) if _asked(q.line) not in done]
    with (
        served(given) as (url, at_once),
        httpx.Client(trust_env=False, timeout=1800) as http,
        concurrent.futures.ThreadPoolExecutor(at_once) as pool,
        out.open("a") as lines,
    ):
        answers = {pool.submit(ask, http, url, q.variant, q.item): q.line for q in missing}
        for answer in concurrent.futures.as_completed(answers):
            lines.write(json.dumps({**answers[answer], **answer.result()}) + "\n")
            lines.flush()


def measure_all(out: Path) -> None:
    """Print one line for each variant, over the items that every variant of its kind answered."""
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    for kind, variants in (("topic", TOPIC_VARIANTS), ("theme", THEME_VARIANTS)):
        for name in variants:
            mine = [row for row in rows if row["kind"] == kind and row["variant"] == name]
            good = [{**row, **measure(row)} for row in mine if row["fields"]]
            if not good:
                continue
            print(
                f"{kind:6} {name:18} n={len(mine):3} no_json={len(mine) - len(good)} "
                f"unsupported={sum(bool(row['unsupported']) for row in good)} "
                f"kept={mean(row['kept'] for row in good):.2f} "
                f"words={mean(row['words'] for row in good):.1f} "
                f"subject={mean(row['subject'] for row in good):.2f}"
            )


def main() -> None:
    if sys.argv[1] == "measure":
        measure_all(Path(sys.argv[2]))
        return
    counts = [int(given) for given in sys.argv[5:]] or [150, 40]
    ask_all(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), *counts)


if __name__ == "__main__":
    main()
