import { join } from "node:path";
import { invariant } from "../../core/invariant.ts";
import { PAGE_BUNDLE } from "./page-bundle.ts";

export interface PageAssets {
  readonly script: string;
  readonly styles: string;
}

let assets: Promise<PageAssets> | null = null;

/** The page's script and styles: those inside the executable; from source they are bundled once, at the first request. */
export function pageAssets(): Promise<PageAssets> {
  assets ??= PAGE_BUNDLE === null ? bundlePage() : Promise.resolve(PAGE_BUNDLE);
  return assets;
}

async function bundlePage(): Promise<PageAssets> {
  const result = await Bun.build({
    entrypoints: [join(import.meta.dir, "page/main.ts"), join(import.meta.dir, "page/styles.css")],
    target: "browser",
    minify: true,
  });
  const text = async (extension: string): Promise<string> => {
    const output = result.outputs.find(({ path }) => path.endsWith(extension));
    invariant(output !== undefined, `the page's bundle has a ${extension} file`);
    return await output.text();
  };
  return { script: await text(".js"), styles: await text(".css") };
}

/** Everything is shown by the script; what stands here is for those who have none. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>keel</title>
<link rel="icon" href="/dashboard/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/dashboard/styles.css">
<script type="module" src="/dashboard/main.js"></script>
</head>
<body>
<noscript><p>The dashboard needs JavaScript. keel top shows the same in a terminal.</p></noscript>
<div id="app"></div>
</body>
</html>
`;

export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#17456b"/><path d="M5 12h22c-1 8-6 12-11 14C11 24 6 20 5 12z" fill="#fff"/><path d="M16 4v8" stroke="#fff" stroke-width="2.5"/></svg>`;
