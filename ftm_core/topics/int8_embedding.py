"""The bundled sentence model in 8-bit integers on one CPU thread, run by CTranslate2."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ftm_core.instruction_set import use_one_instruction_set
from ftm_core.light_imports import without_packages
from ftm_core.topics.embedding import Vectors


class Int8Embedder:
    """A BERT encoder with mean pooling, its weights and activations in 8-bit integers.

    Weights have a scale for each row, activations one for each token, so vectors stay close to
    those of the full model. As with the full model, a call composes its passes from its own texts
    alone, shortest first: the result depends on the set of texts and on nothing else.
    """

    def __init__(self, folder: Path, batch_size: int) -> None:
        use_one_instruction_set()
        # CTranslate2 loads PyTorch for other models' weights, in a second or more.
        with without_packages("torch", "transformers"):
            import ctranslate2
            import ctranslate2.specs

        self._batch_size = batch_size
        self._tokenizer = load_tokenizer(folder)
        # Converted again from the verified weights at each start, in a second or so: a copy kept on
        # disk would have to be verified as well.
        with tempfile.TemporaryDirectory() as made:
            self._dimensions = convert(folder, Path(made))
            self._encoder = ctranslate2.Encoder(
                made, device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
            )

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimensions), each distinct text computed once."""
        distinct = sorted(set(texts))
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(distinct)]
        order = sorted(range(len(distinct)), key=lambda number: (len(tokens[number]), number))
        vectors = np.zeros((len(distinct), self._dimensions), np.float32)
        for start in range(0, len(order), self._batch_size):
            chosen = order[start : start + self._batch_size]
            vectors[chosen] = self._forward([tokens[number] for number in chosen])
        row = {text: number for number, text in enumerate(distinct)}
        return np.ascontiguousarray(vectors[[row[text] for text in texts]])

    def _forward(self, tokens: list[list[int]]) -> Vectors:
        """One pass: the mean of each text's token vectors, brought to length 1."""
        states = np.asarray(self._encoder.forward_batch(tokens).last_hidden_state)
        lengths = np.array([len(ids) for ids in tokens])
        used = np.arange(states.shape[1]) < lengths[:, None]
        means = np.einsum("bsd,bs->bd", states, used.astype(np.float32)) / lengths[:, None]
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)


def load_tokenizer(folder: Path) -> Any:
    """The model's tokenizer, which pads nothing and cuts at the model's longest input."""
    from tokenizers import Tokenizer

    shape = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(shape["max_seq_length"])
    return tokenizer


def convert(folder: Path, target: Path) -> int:
    """Write the model in 8-bit integers for CTranslate2; returns the length of a vector."""
    spec, dimensions = _specification(folder)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(target))
    return dimensions


def _specification(folder: Path) -> tuple[Any, int]:
    """The model's weights in CTranslate2's own layout, and the length of a vector."""
    from ctranslate2.specs import common_spec, transformer_spec
    from safetensors.numpy import load_file

    weights = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    def set_linear(spec: Any, name: str) -> None:
        spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]

    def set_norm(spec: Any, name: str) -> None:
        spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]

    encoder = transformer_spec.TransformerEncoderSpec(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = weights["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = weights["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = weights["embeddings.position_embeddings.weight"]
    set_norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        name = f"encoder.layer.{number}"
        attention = layer.self_attention
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        for kind in ("weight", "bias"):
            joined = np.concatenate([weights[f"{part}.{kind}"] for part in parts])
            setattr(attention.linear[0], kind, joined)
        set_linear(attention.linear[1], f"{name}.attention.output.dense")
        set_norm(attention.layer_norm, f"{name}.attention.output.LayerNorm")
        set_linear(layer.ffn.linear_0, f"{name}.intermediate.dense")
        set_linear(layer.ffn.linear_1, f"{name}.output.dense")
        set_norm(layer.ffn.layer_norm, f"{name}.output.LayerNorm")
    spec = transformer_spec.TransformerEncoderModelSpec(encoder, pooling_layer=False)
    spec.config.unk_token = "[UNK]"
    spec.config.layer_norm_epsilon = config["layer_norm_eps"]
    # Some words of the vocabulary are characters at which splitlines would cut.
    words = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    spec.register_vocabulary(words)
    return spec, config["hidden_size"]
