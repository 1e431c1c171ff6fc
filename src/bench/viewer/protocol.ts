import type { Watch } from "../../monitor/dashboard/protocol.ts";

/** Between the dashboard's benchmark and the thread that looks on. */
export type ViewerRequest =
  | { readonly ask: "look"; readonly base: string; readonly watch: Watch }
  | { readonly ask: "leave" };

export type ViewerReply =
  | { readonly say: "looking" }
  | { readonly say: "left"; readonly updates: number; readonly bytes: number }
  | { readonly say: "failed"; readonly message: string };
