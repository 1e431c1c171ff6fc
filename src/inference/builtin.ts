import lstmCard from "../../models/lstm-residual/card.json" with { type: "file" };
import lstmOnnx from "../../models/lstm-residual/model.onnx" with { type: "file" };

/** Where the parts of a built-in model lie: paths on disk, or inside the executable when it is compiled. */
export interface BuiltinModel {
  readonly cardPath: string;
  readonly onnxPath: string;
}

/** The models inside the executable, by name. */
export const BUILTIN_MODELS: Readonly<Record<string, BuiltinModel>> = {
  "lstm-residual": { cardPath: String(lstmCard), onnxPath: lstmOnnx },
};

/** The model that is used when none is named. */
export const DEFAULT_MODEL = "lstm-residual";
