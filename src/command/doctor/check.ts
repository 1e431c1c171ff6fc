import type { Config } from "../../config.ts";
import type { Environment } from "../command.ts";

export const STATUSES = ["ok", "warn", "fail"] as const;
export type CheckStatus = (typeof STATUSES)[number];

/** What one check found. */
export interface Finding {
  /** What was looked at: `feed`, `clock`, `disk`, … */
  readonly area: string;
  /** Which one of them: a venue, a folder, a limit. */
  readonly subject: string;
  readonly status: CheckStatus;
  /** What was found, with units. */
  readonly detail: string;
  /** What to do about it; empty when nothing is. */
  readonly advice: string;
}

export interface CheckContext {
  readonly config: Config;
  readonly env: Environment;
  /** No connections to other hosts. */
  readonly offline: boolean;
}

/** Looks at one thing. It may throw: that becomes a failed finding of its area. */
export interface Check {
  readonly area: string;
  run(context: CheckContext): Promise<Finding[]>;
}

/** Makes the findings of one area. */
export function findings(area: string) {
  return {
    ok: (subject: string, detail: string): Finding => ({ area, subject, status: "ok", detail, advice: "" }),
    warn: (subject: string, detail: string, advice: string): Finding => ({
      area,
      subject,
      status: "warn",
      detail,
      advice,
    }),
    fail: (subject: string, detail: string, advice: string): Finding => ({
      area,
      subject,
      status: "fail",
      detail,
      advice,
    }),
  };
}

/** @throws Error naming `what` when the promise has not settled in time; what it was waiting for goes on. */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
