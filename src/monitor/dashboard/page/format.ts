const DASH = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const money = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });

export function count(value: number | null | undefined): string {
  return value == null ? DASH : grouped.format(value);
}

export function amount(value: number | null | undefined): string {
  if (value == null) return DASH;
  return Math.abs(value) >= 1e6 ? compact.format(value) : money.format(value);
}

export function short(value: number | null | undefined): string {
  return value == null ? DASH : compact.format(value);
}

export function signed(value: number | null | undefined): string {
  if (value == null) return DASH;
  return `${value > 0 ? "+" : ""}${amount(value)}`;
}

export function fixed(value: number | null | undefined, digits: number): string {
  return value == null ? DASH : value.toFixed(digits);
}

export function percent(value: number | null | undefined, digits = 1): string {
  return value == null ? DASH : `${(100 * value).toFixed(digits)} %`;
}

/** Digits after the point that a step of this size needs. */
export function digitsOf(step: number): number {
  return Math.min(Math.max(Math.ceil(-Math.log10(step) - 1e-9), 0), 10);
}

/** A latency with its unit. */
export function micros(us: number | null | undefined): string {
  if (us == null) return DASH;
  if (us >= 1e6) return `${(us / 1e6).toFixed(2)} s`;
  if (us >= 1e3) return `${(us / 1e3).toFixed(2)} ms`;
  return `${us.toFixed(us < 10 ? 2 : 1)} µs`;
}

export function duration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const clock = new Date(seconds * 1_000).toISOString().slice(11, 19);
  return days > 0 ? `${days} d ${clock}` : clock;
}

export function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

export function time(us: number): string {
  return new Date(us / 1_000).toISOString().slice(11, 19);
}

/** `feedStates` → `Feed states`. */
export function words(name: string): string {
  const spaced = name.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
