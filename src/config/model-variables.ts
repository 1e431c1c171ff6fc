import { DEFAULT_MODEL, DEFAULT_STAND_INS } from "../inference/builtin.ts";
import { DEVICES } from "../inference/engine.ts";
import { TENSORRT_PRECISIONS, TENSORRT_WAITS } from "../inference/settings.ts";
import { integerIn, oneOf, path, phrase } from "./types.ts";
import { variable } from "./variable.ts";

/** What is done about drift. */
const DRIFT_MODES = ["off", "watch", "act"] as const;

/** How probabilities follow outcomes; `on` is `platt`. */
const RECALIBRATE_MODES = ["off", "on", "platt", "isotonic"] as const;

/** The model, what watches and trains it, and the engine that runs it. */
export const MODEL_VARIABLES = {
  KEEL_DEVICE: variable(
    oneOf(...DEVICES),
    "auto",
    "Engine that runs the model; `auto` takes the one on which the model is fastest here, `gpu` the faster of wgsl and webgpu, any other is used or refused",
  ),
  KEEL_MODEL: variable(
    path,
    null,
    `Built-in model by name, the folder of one (\`model.onnx\` and \`card.json\`), or \`registry:\` and a version or alias; default \`${DEFAULT_MODEL}\`, or ${DEFAULT_STAND_INS.map((name) => `\`${name}\``).join(", ")} where that is much faster`,
  ),
  KEEL_RECALIBRATE: variable(
    oneOf(...RECALIBRATE_MODES),
    "off",
    "Fit the model's probabilities to what comes of them, instrument by instrument, by slope and intercept (`platt`, or `on`) or by steps that rise (`isotonic`); see docs/models.md",
  ),
  KEEL_DRIFT: variable(
    oneOf(...DRIFT_MODES),
    "off",
    "Hold the model's input and what comes of its predictions against its training rows: tell alone, or widen and fall back too; see docs/learning.md",
  ),
  KEEL_TRAIN_COMMAND: variable(
    phrase("a program and its arguments"),
    null,
    "Program with which `keel retrain` trains, given `--dataset DIR --out DIR --scratch DIR --seed N`, e.g. `/opt/keel/.venv/bin/python /opt/keel/models/train/train.py`; without it logistic regression",
  ),
  KEEL_QUANTISE_COMMAND: variable(
    phrase("a program and its arguments"),
    null,
    "Program with which `keel retrain` makes 8 bits of the model, given `--model DIR` besides; without it the model stays as trained",
  ),
  KEEL_GPU: variable(
    phrase("part of an adapter's name, its number, software, or a power preference"),
    null,
    "GPU of the wgsl and webgpu engines; without it the first that is hardware. `keel version` lists them",
  ),
  KEEL_GPU_KEEP_ALIVE_MS: variable(
    integerIn(0, 60_000),
    "10",
    "How long a GPU may idle before it is touched with an empty pass, so that it keeps its clocks; 0 = never",
    "ms",
  ),
  KEEL_VULKAN_DIR: variable(
    path,
    null,
    "Folder with a Vulkan driver (ICD file and library) that is used instead of the host's",
  ),
  KEEL_CUDA_DEVICE: variable(integerIn(0, 255), "0", "CUDA's number of the tensorrt engine's GPU"),
  KEEL_TENSORRT_PRECISION: variable(
    oneOf(...TENSORRT_PRECISIONS),
    "model",
    "What TensorRT computes in: as the model states, products in half precision, or refusing a model that is not quantised",
  ),
  KEEL_TENSORRT_WAIT: variable(
    oneOf(...TENSORRT_WAITS),
    "spin",
    "How the loop waits for TensorRT: with its core busy, or asleep",
  ),
  KEEL_TENSORRT_CACHE_DIR: variable(
    path,
    null,
    "Plans that TensorRT has built; default `tensorrt` in the state directory",
  ),
  KEEL_TENSORRT_LIBRARY: variable(path, null, "TensorRT shim that is used instead of the one inside keel"),
} as const;
