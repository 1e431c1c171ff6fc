import { h } from "./dom.ts";
import { factsCard } from "./facts.ts";
import { count, fixed, micros, words } from "./format.ts";
import { type TableColumn, tableOf } from "./tables.ts";
import { NOTHING, type View } from "./view.ts";

/** A name and what a part of keel tells under it. */
type Told = readonly [name: string, value: unknown];

/** What lies at a path within something that was told; undefined where nothing does. */
function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (found === null || typeof found !== "object") return undefined;
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return found;
}

function number(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function entries(value: unknown): Told[] {
  return value !== null && typeof value === "object" ? Object.entries(value) : [];
}

const figure = (label: string, digits: number, ...path: readonly string[]): TableColumn<Told> => ({
  label,
  num: true,
  text: ([, value]) => fixed(number(at(value, ...path)), digits),
});

const counted = (label: string, ...path: readonly string[]): TableColumn<Told> => ({
  label,
  num: true,
  text: ([, value]) => count(number(at(value, ...path))),
});

/** A difference with the interval in which it lies. */
function interval(value: unknown): string {
  const [mean, lower, upper] = ["mean", "lower", "upper"].map((name) => number(at(value, name)));
  return lower === null || upper === null
    ? fixed(mean, 5)
    : `${fixed(mean, 5)} [${fixed(lower, 5)}, ${fixed(upper, 5)}]`;
}

/** The model in force, how good it has been, and those in its shadow. */
export function model(): View {
  const inForce = factsCard("In force");
  const heads = tableOf<Told>(
    "Quality by head",
    [
      { label: "Head", text: ([name]) => name },
      counted("Rows", "rows"),
      figure("Base rate", 4, "baseRate"),
      figure("AUC", 4, "auc"),
      figure("Log loss", 4, "logLoss"),
      figure("Brier", 4, "brier"),
      figure("Calibration error", 4, "calibrationError"),
    ],
    "Not followed: set KEEL_OUTCOMES_DIR.",
  );
  const models = tableOf<Told>(
    "Champion and challengers",
    [
      { label: "Version", text: ([name]) => name },
      { label: "Stage", text: ([, value]) => words(String(at(value, "stage") ?? "")) },
      counted("Blocks", "paired", "blocks"),
      {
        label: "Log loss less the champion's",
        num: true,
        text: ([, value]) =>
          at(value, "stage") === "champion" ? "–" : interval(at(value, "paired", "logLoss")),
      },
      { label: "Step, p99", num: true, text: ([, value]) => micros(number(at(value, "stepUs"))) },
      counted("Missed events", "shed"),
      { label: "Verdict", text: ([, value]) => String(at(value, "verdict", "text") ?? "–") },
    ],
    "No model runs in the shadow of this one.",
  );
  return {
    id: "model",
    label: "Model",
    sections: ["overview", "model"],
    element: h("div", { class: "stack" }, inForce.element, models.element, heads.element),
    watched: () => NOTHING,
    render(live) {
      const section = live.section("model");
      if (section === undefined) return;
      const { heads: quality, shadow, ...rest } = section;
      inForce.set(rest, "–");
      heads.set(entries(quality));
      models.set(entries(at(shadow, "models")));
    },
  };
}
