import attentionCard from "../../models/lstm-attn/card.json" with { type: "file" };
import attentionOnnx from "../../models/lstm-attn/model.onnx" with { type: "file" };
import attentionInt8Card from "../../models/lstm-attn-int8/card.json" with { type: "file" };
import attentionInt8Onnx from "../../models/lstm-attn-int8/model.onnx" with { type: "file" };
import lstmCard from "../../models/lstm-residual/card.json" with { type: "file" };
import lstmOnnx from "../../models/lstm-residual/model.onnx" with { type: "file" };
import lstmInt8Card from "../../models/lstm-residual-int8/card.json" with { type: "file" };
import lstmInt8Onnx from "../../models/lstm-residual-int8/model.onnx" with { type: "file" };
import lstmPrunedInt8Card from "../../models/lstm-residual-pruned-int8/card.json" with { type: "file" };
import lstmPrunedInt8Onnx from "../../models/lstm-residual-pruned-int8/model.onnx" with { type: "file" };
import tcnCard from "../../models/tcn/card.json" with { type: "file" };
import tcnOnnx from "../../models/tcn/model.onnx" with { type: "file" };
import tcnInt8Card from "../../models/tcn-int8/card.json" with { type: "file" };
import tcnInt8Onnx from "../../models/tcn-int8/model.onnx" with { type: "file" };
import transformerCard from "../../models/transformer/card.json" with { type: "file" };
import transformerOnnx from "../../models/transformer/model.onnx" with { type: "file" };
import transformerInt8Card from "../../models/transformer-int8/card.json" with { type: "file" };
import transformerInt8Onnx from "../../models/transformer-int8/model.onnx" with { type: "file" };

/** Where the parts of a built-in model lie: paths on disk, or inside the executable when it is compiled. */
export interface BuiltinModel {
  readonly cardPath: string;
  readonly onnxPath: string;
}

/** The models inside the executable, by name. */
export const BUILTIN_MODELS: Readonly<Record<string, BuiltinModel>> = {
  "lstm-residual-int8": { cardPath: String(lstmInt8Card), onnxPath: lstmInt8Onnx },
  "lstm-residual": { cardPath: String(lstmCard), onnxPath: lstmOnnx },
  "lstm-residual-pruned-int8": { cardPath: String(lstmPrunedInt8Card), onnxPath: lstmPrunedInt8Onnx },
  "lstm-attn": { cardPath: String(attentionCard), onnxPath: attentionOnnx },
  "lstm-attn-int8": { cardPath: String(attentionInt8Card), onnxPath: attentionInt8Onnx },
  tcn: { cardPath: String(tcnCard), onnxPath: tcnOnnx },
  "tcn-int8": { cardPath: String(tcnInt8Card), onnxPath: tcnInt8Onnx },
  transformer: { cardPath: String(transformerCard), onnxPath: transformerOnnx },
  "transformer-int8": { cardPath: String(transformerInt8Card), onnxPath: transformerInt8Onnx },
};

/** The model that is used when none is named, where no stand-in is much faster. */
export const DEFAULT_MODEL = "lstm-residual-int8";

/** The default model's function in other arithmetic, for hosts and engines that are slow at 8-bit levels. */
export const DEFAULT_STAND_INS: readonly string[] = ["lstm-residual"];
