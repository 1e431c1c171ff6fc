import type { QuoteParameters } from "../../quote/parameters.ts";
import type { ChallengeReport } from "./challenge.ts";
import type { ChallengePolicy } from "./policy.ts";

/** A model's files, as they go to the thread. */
export interface SentModel {
  readonly version: string;
  readonly card: string;
  readonly onnx: Uint8Array<ArrayBuffer>;
}

/** Messages to the thread that runs challengers. */
export type ChallengeMessage =
  | {
      readonly do: "start";
      readonly ring: SharedArrayBuffer;
      readonly quote: QuoteParameters;
      readonly policy: ChallengePolicy;
      /** Where each model's outcomes go, in a folder by its name; null: nowhere. */
      readonly files: {
        readonly directory: string;
        readonly run: string;
        readonly partBytes: number;
        readonly totalBytes: number;
      } | null;
    }
  | { readonly do: "add"; readonly model: SentModel }
  | { readonly do: "remove"; readonly version: string }
  | { readonly do: "compareWith"; readonly version: string }
  | { readonly do: "beginAnew"; readonly version: string }
  | { readonly do: "stop"; readonly timeUs: number };

/** What the thread tells, about once a second and at its end. */
export type ChallengeReply =
  | {
      readonly is: "report";
      readonly report: ChallengeReport;
      /** Messages of the desk's that it had taken by then. */
      readonly taken: number;
      readonly ended: boolean;
    }
  /** A model cannot be run. */
  | { readonly is: "refused"; readonly version: string; readonly why: string }
  /** Outcomes of a model are recorded no more. */
  | { readonly is: "unrecorded"; readonly why: string };
