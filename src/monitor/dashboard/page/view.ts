import type { SectionName } from "../protocol.ts";
import type { Live } from "./live.ts";

/** One page of the dashboard. */
export interface View {
  readonly id: string;
  readonly label: string;
  readonly element: HTMLElement;
  readonly sections: readonly SectionName[];
  /** What is looked at beside the sections while the view is open. */
  watched(live: Live): { readonly rows: readonly number[]; readonly detail: number | null };
  /** Shows what the server has told; called at most once a frame, and only while the view is open. */
  render(live: Live): void;
  /** Colours have changed. */
  restyle?(): void;
}

export const NOTHING = { rows: [], detail: null } as const;
