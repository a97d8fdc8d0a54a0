"""One way of embedding the bundled sentence model on the CPU, in processes of its own.

Used by bench.embedding_backends. All ways but sentence-transformers' own get their token ids, the
mean over tokens and the order of passes from here, so that only the backend differs. Graphs are
made once, by ``make_graphs``, in a process that ends before anything is measured.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ftm_core.topics.embedding import SENTENCES_PER_PASS, Vectors, bundled_model_folder
from ftm_core.topics.int8_embedding import convert, load_tokenizer

Ids = npt.NDArray[np.int64]
# (ids, lengths) of a pass, both padded to one length, to states of shape (texts, tokens, values).
Forward = Callable[[Ids, Ids], npt.NDArray[np.float32]]
INPUTS = ("input_ids", "attention_mask")
OPSET = 17
LAST_GRAPH = "int8_weights.xml"
# The variables of ftm's one instruction set. The others choose their instructions by themselves.
PINNED = ("CT2_FORCE_CPU_ISA", "CT2_USE_MKL", "ONEDNN_MAX_CPU_ISA")


@dataclass(frozen=True)
class Batches:
    """Which sentences of a call share a pass; they are sorted by their number of tokens.

    At most ``sentences``, or at most ``tokens`` with padding. With ``multiple`` each sentence is
    padded to the next multiple of it, and a pass holds sentences of one padded length only.
    """

    sentences: int | None = SENTENCES_PER_PASS
    tokens: int | None = None
    multiple: int | None = None

    def passes(self, lengths: Sequence[int]) -> Iterator[tuple[list[int], int]]:
        """Rows of each pass, with the length to which they are padded."""
        rows: list[int] = []
        longest = 0
        for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
            padded = lengths[row]
            if self.multiple is not None:
                padded = -(-padded // self.multiple) * self.multiple
            if rows and (
                len(rows) == self.sentences
                or (self.tokens is not None and (len(rows) + 1) * padded > self.tokens)
                or (self.multiple is not None and padded != longest)
            ):
                yield rows, longest
                rows = []
            rows.append(row)
            longest = padded
        if rows:
            yield rows, longest


@dataclass(frozen=True)
class Way:
    """A backend, how it spreads over the cores, and its passes.

    ``processes``: one a core, each with one thread. ``threads``: one process, all threads in each
    pass. ``streams``: one process, as many passes at a time as cores.
    """

    backend: str
    spread: Literal["processes", "threads", "streams"]
    batches: Batches = Batches()

    def n_processes(self, n_cores: int) -> int:
        return n_cores if self.spread == "processes" else 1

    def n_threads(self, n_cores: int) -> int:
        """Threads of one pass."""
        return n_cores if self.spread == "threads" else 1

    def n_streams(self, n_cores: int) -> int:
        """Passes at a time in one process."""
        return n_cores if self.spread == "streams" else 1


class Embedder(Protocol):
    """Turns the texts of a call into vectors of length 1."""

    def embed(self, texts: Sequence[str]) -> Vectors: ...


class BatchedEmbedder:
    """Token ids, passes and the mean over tokens around a backend; as in Int8Embedder."""

    def __init__(self, forward: Forward, batches: Batches) -> None:
        self._tokenizer = load_tokenizer(bundled_model_folder())
        self._forward = forward
        self._batches = batches

    def embed(self, texts: Sequence[str]) -> Vectors:
        distinct = sorted(set(texts))
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(distinct)]
        vector_of: dict[str, Vectors] = {}
        for rows, longest in self._batches.passes([len(ids) for ids in tokens]):
            lengths = np.array([len(tokens[row]) for row in rows])
            ids = np.zeros((len(rows), longest), np.int64)
            for place, row in enumerate(rows):
                ids[place, : lengths[place]] = tokens[row]
            states = self._forward(ids, lengths)
            used = (np.arange(longest) < lengths[:, None]).astype(np.float32)
            means = np.einsum("bsd,bs->bd", states, used) / lengths[:, None]
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            vector_of |= {distinct[row]: means[place] for place, row in enumerate(rows)}
        return np.array([vector_of[text] for text in texts], np.float32)


class SentenceTransformersEmbedder:
    """sentence-transformers as it is by default, on all cores."""

    def __init__(self, n_threads: int) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(n_threads)
        folder = str(bundled_model_folder())
        self._model = SentenceTransformer(folder, local_files_only=True, device="cpu")

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.asarray(
            self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        )


def ctranslate2_int8(graphs: Path, n_threads: int, n_streams: int) -> Forward:
    """The product's own conversion to CTranslate2, spread as asked for."""
    import ctranslate2

    encoder = ctranslate2.Encoder(
        str(graphs / "ctranslate2"),
        device="cpu",
        compute_type="int8",
        inter_threads=n_streams,
        intra_threads=n_threads,
    )

    def forward(ids: Ids, lengths: Ids) -> npt.NDArray[np.float32]:
        arrays = (np.ascontiguousarray(one, np.int32) for one in (ids, lengths))
        output = encoder.forward_batch(*map(ctranslate2.StorageView.from_array, arrays))
        return np.asarray(output.last_hidden_state)

    return forward


def onnxruntime_graph(graph: Path, n_threads: int) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def forward(ids: Ids, lengths: Ids) -> npt.NDArray[np.float32]:
        states: npt.NDArray[np.float32] = session.run(None, _inputs(ids, lengths))[0]
        return states

    return forward


def openvino_graph(graph: Path, n_threads: int, n_streams: int, hints: dict[str, Any]) -> Forward:
    import openvino

    compiled = openvino.Core().compile_model(
        graph,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": n_threads * n_streams,
            "NUM_STREAMS": n_streams,
            # Several processes would all take the first core.
            "ENABLE_CPU_PINNING": False,
            **hints,
        },
    )
    of_thread = threading.local()

    def forward(ids: Ids, lengths: Ids) -> npt.NDArray[np.float32]:
        if not hasattr(of_thread, "request"):
            of_thread.request = compiled.create_infer_request()
        states: npt.NDArray[np.float32] = of_thread.request.infer(_inputs(ids, lengths))[0]
        return states

    return forward


def _inputs(ids: Ids, lengths: Ids) -> dict[str, Ids]:
    mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
    return dict(zip(INPUTS, (ids, mask), strict=True))


def load(way: Way, graphs: Path, n_cores: int) -> Embedder:
    """The way's model, in the process that is to run it."""
    n_threads, n_streams = way.n_threads(n_cores), way.n_streams(n_cores)
    if way.backend != "ctranslate2 int8":
        for name in PINNED:
            os.environ.pop(name, None)
    forward: Forward
    hints: dict[str, Any]
    match way.backend:
        case "sentence-transformers":
            return SentenceTransformersEmbedder(n_threads)
        case "ctranslate2 int8":
            forward = ctranslate2_int8(graphs, n_threads, n_streams)
        case "onnxruntime fp32":
            forward = onnxruntime_graph(graphs / "fused.onnx", n_threads)
        case "onnxruntime int8":
            forward = onnxruntime_graph(graphs / "int8.onnx", n_threads)
        case "onnxruntime int8, fused":
            forward = onnxruntime_graph(graphs / "fused_int8.onnx", n_threads)
        case "openvino fp32":
            hints = {"INFERENCE_PRECISION_HINT": "f32"}
            forward = openvino_graph(graphs / "model.onnx", n_threads, n_streams, hints)
        case "openvino default":
            forward = openvino_graph(graphs / "model.onnx", n_threads, n_streams, {})
        case "openvino int8":
            hints = {"INFERENCE_PRECISION_HINT": "f32"}
            forward = openvino_graph(graphs / "int8.xml", n_threads, n_streams, hints)
        case "openvino int8 weights":
            # A scale for each token and each row of a weight, as in CTranslate2. With its default
            # of 32 values to a scale it is slower.
            hints = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 384}
            forward = openvino_graph(graphs / LAST_GRAPH, n_threads, n_streams, hints)
        case _:
            raise ValueError(f"There is no backend {way.backend}.")
    return BatchedEmbedder(forward, way.batches)


_embedder: Embedder
_n_streams: int


def start_process(way: Way, graphs: Path, n_cores: int, all_loaded: Any) -> None:
    """Load the model; return when all processes of the way have loaded theirs."""
    global _embedder, _n_streams
    _embedder, _n_streams = load(way, graphs, n_cores), way.n_streams(n_cores)
    all_loaded.wait()


def embed_calls(calls: Sequence[Sequence[str]]) -> list[Vectors]:
    """Vectors of each call, as many calls at a time as the way has streams."""
    if _n_streams == 1:
        return [_embedder.embed(call) for call in calls]
    with ThreadPoolExecutor(_n_streams) as threads:
        return list(threads.map(_embedder.embed, calls))


def make_graphs(graphs: Path, calibration: Sequence[str]) -> None:
    """Convert the bundled model to each backend's own format, and quantize it the usual way.

    ONNX Runtime: activations in 8 bits by the range of each pass. OpenVINO: activations by ranges
    that NNCF takes from ``calibration``, or weights alone with activations in groups as they come.
    """
    import ctranslate2  # noqa: F401 - before the specification, as the product does
    import torch
    from transformers import AutoModel

    folder = bundled_model_folder()
    (graphs / "ctranslate2").mkdir(parents=True, exist_ok=True)
    convert(folder, graphs / "ctranslate2")

    bert = AutoModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True)

    class States(torch.nn.Module):
        """The states alone, without the pooled output that the model also has."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = bert.eval()

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.randint(1000, 2000, (3, 11))
    mask = (torch.arange(11) < torch.tensor([[11], [7], [5]])).long()
    axes = {name: {0: "texts", 1: "tokens"} for name in (*INPUTS, "states")}
    # ONNX Runtime knows how to fuse the graphs of the older exporter only.
    torch.onnx.export(
        States(),
        (ids, mask),
        str(graphs / "model.onnx"),
        input_names=list(INPUTS),
        output_names=["states"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    _quantize_for_onnxruntime(graphs, bert.config)
    _quantize_for_openvino(graphs, calibration)


def _quantize_for_onnxruntime(graphs: Path, config: Any) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    fused = optimize_model(
        str(graphs / "model.onnx"),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        opt_level=0,
    )
    fused.save_model_to_file(str(graphs / "fused.onnx"))
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    for source, made in (("model", "int8"), ("fused", "fused_int8")):
        quantize_dynamic(
            graphs / f"{source}.onnx",
            graphs / f"{made}.onnx",
            per_channel=True,
            weight_type=QuantType.QInt8,
            # Without VNNI, sums of two products in 8 bits saturate.
            reduce_range="vnni" not in flags,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


def _quantize_for_openvino(graphs: Path, calibration: Sequence[str]) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(graphs / "model.onnx")
    tokenizer = load_tokenizer(bundled_model_folder())
    sentences = [np.array([encoding.ids]) for encoding in tokenizer.encode_batch(calibration)]
    inputs = [_inputs(ids, np.array([ids.shape[1]])) for ids in sentences]
    quantized = nncf.quantize(
        model,
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(inputs),
    )
    openvino.save_model(quantized, graphs / "int8.xml")
    model = openvino.Core().read_model(graphs / "model.onnx")
    compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(compressed, graphs / LAST_GRAPH)
