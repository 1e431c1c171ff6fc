/**
 * Self-contained HTML reports: one file, no script, no other host, light and dark, readable on paper.
 *
 *     const page = htmlPage({
 *       title: "Execution quality",
 *       lead: "2026-11-22, 00:00 to 24:00 UTC",
 *       sections: [
 *         section("Fills", paragraph("…"), table(columns, rows), linePlot({…}), barPlot({…}), intervalPlot({…})),
 *       ],
 *     });
 *
 * Everything that makes HTML gives {@link Html}, and everything else is text and is escaped; so what a counterparty is called can do
 * nothing to the page. Plots are in `plot.ts`; each carries its numbers as a table that screen readers and copying reach.
 *
 * - {@link htmlPage} the whole document
 * - {@link section} a heading and blocks, listed in the contents
 * - {@link paragraph}, {@link details}, {@link preformatted} text
 * - {@link table} columns and rows; numbers to the right
 * - `linePlot`, `barPlot`, `intervalPlot` (plot.ts)
 * - {@link formatNumber} a number for people
 *
 * @module
 */

/** Text that is HTML already. Made by the functions of this file and of `plot.ts` only. */
export interface Html {
  readonly html: string;
}

export interface Section extends Html {
  readonly heading: string;
  readonly id: string;
}

export interface Column {
  readonly name: string;
  /** `number` stands to the right. Default `text`. */
  readonly kind?: "text" | "number";
}

/** A cell: text, a number (null and what is not finite are shown as a dash), or HTML. */
export type Cell = string | number | null | Html;

export interface Page {
  readonly title: string;
  /** One line below the title. */
  readonly lead?: string;
  readonly sections: readonly Section[];
  /** Last line, e.g. what made the page. */
  readonly footer?: string;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand in HTML, between tags and in attributes. Control characters that no document may hold become �. */
export function escapeHtml(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
    .replace(/(?![\t\n\r])[\p{Cc}\p{Cs}]/gu, "\ufffd");
}

/** A number for people: up to six significant digits before the point or all of them, thousands apart; a dash for none. */
export function formatNumber(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const shown =
    size >= 1e15 || (size < 1e-4 && size > 0)
      ? value.toExponential(3)
      : size >= 1e4
        ? (size >= 1e6 ? Math.round(value) : Number(value.toPrecision(6))).toLocaleString("en-US")
        : String(Number(value.toPrecision(6)));
  return shown.replace(/^-/, "−");
}

export function paragraph(text: string): Html {
  return { html: `<p>${escapeHtml(text)}</p>` };
}

/** Lines as they are, in a fixed-width face. */
export function preformatted(lines: readonly string[]): Html {
  return { html: `<pre>${escapeHtml(lines.join("\n"))}</pre>` };
}

/** Blocks that are folded away until the summary is clicked. */
export function details(summary: string, ...blocks: readonly Html[]): Html {
  return { html: `<details><summary>${escapeHtml(summary)}</summary>${joined(blocks)}</details>` };
}

/** @param caption says what the rows are; read out before them */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  caption?: string,
): Html {
  const head = columns
    .map(({ name, kind }) => `<th scope="col"${numeric(kind)}>${escapeHtml(name)}</th>`)
    .join("");
  const body = rows
    .map((row) => {
      const cells = columns.map(
        ({ kind }, column) => `<td${numeric(kind)}>${cell(row[column] ?? null)}</td>`,
      );
      return `<tr>${cells.join("")}</tr>`;
    })
    .join("\n");
  const title = caption === undefined ? "" : `<caption>${escapeHtml(caption)}</caption>`;
  const none = `<tr><td colspan="${columns.length}">none</td></tr>`;
  const filled = rows.length === 0 ? none : body;
  return {
    html: `<div class="scroll"><table>${title}<thead><tr>${head}</tr></thead><tbody>${filled}</tbody></table></div>`,
  };
}

/** A part of the page under its own heading. */
export function section(heading: string, ...blocks: readonly Html[]): Section {
  const id = heading
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return {
    heading,
    id,
    html: `<h2>${escapeHtml(heading)}</h2>\n${joined(blocks)}`,
  };
}

export function htmlPage({ title, lead, sections, footer }: Page): string {
  const ids = sections.map(({ id }, at) => `${id === "" ? "part" : id}-${at + 1}`);
  const contents = sections
    .map(({ heading }, at) => `<li><a href="#${ids[at]}">${escapeHtml(heading)}</a></li>`)
    .join("");
  const body = sections.map(({ html }, at) => `<section id="${ids[at]}">\n${html}\n</section>`).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${escapeHtml(title)}</h1>${lead === undefined ? "" : `<p>${escapeHtml(lead)}</p>`}</header>
<nav aria-label="Contents"><ul>${contents}</ul></nav>
<main>
${body}
</main>
${footer === undefined ? "" : `<footer><p>${escapeHtml(footer)}</p></footer>`}
</body>
</html>
`;
}

function joined(blocks: readonly Html[]): string {
  return blocks.map(({ html }) => html).join("\n");
}

function numeric(kind: Column["kind"]): string {
  return kind === "number" ? ' class="number"' : "";
}

function cell(value: Cell): string {
  if (value === null || typeof value === "number") return formatNumber(value);
  return typeof value === "string" ? escapeHtml(value) : value.html;
}

/** Series colours are those of Okabe and Ito (2008), told apart with any colour vision; series differ by dashes besides. */
const STYLE = `
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--faint:#5b6570;--line:#d5dae0;--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#a8327f;--s4:#8a6d00;--s5:#444}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ec;--faint:#9aa4af;--line:#363d45;--s0:#56b4e9;--s1:#ff8c42;--s2:#2fc79a;--s3:#e58ac4;--s4:#e6cf4a;--s5:#bbb}}
@media print{:root{--paper:#fff;--ink:#000}nav{display:none}details>*{display:block}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1.5rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line)}
header p,footer p,figcaption,caption{color:var(--faint)}caption{text-align:left;padding:.2rem 0}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;list-style:none;padding:0}a{color:var(--s0)}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}td.number{white-space:nowrap}.number{text-align:right}
figure{margin:1rem 0}svg{max-width:100%;height:auto;display:block;overflow:visible}summary{cursor:pointer;color:var(--faint)}
pre{overflow-x:auto;padding:.6rem;border:1px solid var(--line);font-size:13px}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .axis{stroke:var(--faint)}svg .grid{stroke:var(--line)}
svg .s{fill:none;stroke-width:2}svg .band{opacity:.18;stroke:none}
${[0, 1, 2, 3, 4, 5].map((n) => `.stroke${n}{stroke:var(--s${n})}.fill${n}{fill:var(--s${n})}`).join("")}
`;
